/* Pipelines that the driver compiled at an earlier start, kept by the application.
 *
 *   | "LLMIRVK1" | BLAKE2b of device, driver, code and data | data: what the driver gave |
 *
 * Data reaches the driver only if the hash is right and its own header (VkPipelineCacheHeader-
 * VersionOne) names this device and driver. Without the cache everything works, only later. */
#include "targets/vulkan/vulkan_device.h"

#include <stdio.h>
#include <string.h>

#include "core/base/blake2b.h"

#define ENTRY_MAGIC "LLMIRVK1"
#define ENTRY_MAGIC_BYTES 8u
#define ENTRY_HEADER_BYTES (ENTRY_MAGIC_BYTES + LLMIR_BLAKE2B_BYTES)
/* More than the pipelines of any plan take. */
#define ENTRY_BYTES_MAX ((size_t)64 << 20)

static llmir_vulkan_device_t* device_of(const llmir_vulkan_program_t* program) {
    return (llmir_vulkan_device_t*)program->base.device;
}

static void hash_entry(const llmir_vulkan_program_t* program,
                       const uint8_t* data,
                       size_t bytes,
                       uint8_t out_hash[LLMIR_BLAKE2B_BYTES]) {
    llmir_blake2b_t hash;
    llmir_blake2b_init(&hash);
    llmir_blake2b_update(&hash, device_of(program)->identity, LLMIR_DEVICE_IDENTITY_BYTES);
    llmir_blake2b_update(&hash, program->code.binary, program->code.binary_bytes);
    llmir_blake2b_update(&hash, data, bytes);
    llmir_blake2b_final(&hash, out_hash);
}

/* One entry for each device and code: that of an older driver is replaced. */
static void make_key(const llmir_vulkan_program_t* program, char out_key[LLMIR_CACHE_KEY_BYTES]) {
    const VkPhysicalDeviceProperties* properties = &device_of(program)->properties;
    uint8_t hash[LLMIR_BLAKE2B_BYTES];
    uint32_t words[2];
    llmir_blake2b_hash(program->code.binary, program->code.binary_bytes, hash);
    memcpy(words, hash, sizeof words);
    (void)snprintf(out_key, LLMIR_CACHE_KEY_BYTES, "vulkan-%x-%x-%08x%08x",
                   (unsigned)properties->vendorID, (unsigned)properties->deviceID,
                   (unsigned)words[0], (unsigned)words[1]);
}

/* Whether the driver's data says that it is of this device and driver. */
static int is_of_device(const VkPhysicalDeviceProperties* properties,
                        const uint8_t* data,
                        size_t bytes) {
    VkPipelineCacheHeaderVersionOne header;
    if (bytes < sizeof header) {
        return 0;
    }
    memcpy(&header, data, sizeof header);
    return header.headerSize >= sizeof header && header.headerSize <= bytes &&
           header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           header.vendorID == properties->vendorID && header.deviceID == properties->deviceID &&
           memcmp(header.pipelineCacheUUID, properties->pipelineCacheUUID, VK_UUID_SIZE) == 0;
}

static int is_good_entry(const llmir_vulkan_program_t* program,
                         const uint8_t* entry,
                         size_t bytes) {
    uint8_t hash[LLMIR_BLAKE2B_BYTES];
    if (bytes <= ENTRY_HEADER_BYTES || memcmp(entry, ENTRY_MAGIC, ENTRY_MAGIC_BYTES) != 0) {
        return 0;
    }
    hash_entry(program, entry + ENTRY_HEADER_BYTES, bytes - ENTRY_HEADER_BYTES, hash);
    return memcmp(entry + ENTRY_MAGIC_BYTES, hash, sizeof hash) == 0 &&
           is_of_device(&device_of(program)->properties, entry + ENTRY_HEADER_BYTES,
                        bytes - ENTRY_HEADER_BYTES);
}

static void create_cache(llmir_vulkan_program_t* program, const uint8_t* data, size_t bytes) {
    const llmir_vulkan_device_t* device = device_of(program);
    const VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = bytes,
        .pInitialData = data,
    };
    if (device->api.vkCreatePipelineCache(device->device, &info, NULL, &program->pipeline_cache) !=
        VK_SUCCESS) {
        program->pipeline_cache = VK_NULL_HANDLE;
    }
}

void llmir_vulkan_cache_open(llmir_vulkan_program_t* program) {
    const llmir_vulkan_device_t* device = device_of(program);
    const llmir_cache_t* cache = &device->cache;
    char key[LLMIR_CACHE_KEY_BYTES];
    void* entry = NULL;
    if (cache->get == NULL) {
        return;
    }
    make_key(program, key);
    const size_t bytes = cache->get(cache->self, key, NULL, 0);
    if (bytes > ENTRY_HEADER_BYTES && bytes <= ENTRY_BYTES_MAX &&
        llmir_allocate(&device->allocator, bytes, 16, "pipeline cache", &entry, NULL) ==
            LLMIR_STATUS_OK) {
        if (cache->get(cache->self, key, entry, bytes) == bytes &&
            is_good_entry(program, entry, bytes)) {
            create_cache(program, (const uint8_t*)entry + ENTRY_HEADER_BYTES,
                         bytes - ENTRY_HEADER_BYTES);
            memcpy(program->cached_hash, (const uint8_t*)entry + ENTRY_MAGIC_BYTES,
                   LLMIR_BLAKE2B_BYTES);
        }
        llmir_free(&device->allocator, entry, bytes, 16);
    }
    if (program->pipeline_cache == VK_NULL_HANDLE) {
        memset(program->cached_hash, 0, sizeof program->cached_hash);
        create_cache(program, NULL, 0);
    }
}

/* The driver's data behind a header; the application keeps it unless it is what it gave. */
static void put_entry(llmir_vulkan_program_t* program, uint8_t* entry, size_t bytes) {
    const llmir_vulkan_device_t* device = device_of(program);
    const llmir_cache_t* cache = &device->cache;
    char key[LLMIR_CACHE_KEY_BYTES];
    memcpy(entry, ENTRY_MAGIC, ENTRY_MAGIC_BYTES);
    hash_entry(program, entry + ENTRY_HEADER_BYTES, bytes - ENTRY_HEADER_BYTES,
               entry + ENTRY_MAGIC_BYTES);
    if (memcmp(entry + ENTRY_MAGIC_BYTES, program->cached_hash, LLMIR_BLAKE2B_BYTES) != 0) {
        make_key(program, key);
        cache->put(cache->self, key, entry, bytes);
    }
}

void llmir_vulkan_cache_keep(llmir_vulkan_program_t* program) {
    const llmir_vulkan_device_t* device = device_of(program);
    size_t bytes = 0;
    void* entry = NULL;
    if (program->pipeline_cache == VK_NULL_HANDLE ||
        device->api.vkGetPipelineCacheData(device->device, program->pipeline_cache, &bytes, NULL) !=
            VK_SUCCESS ||
        bytes == 0 || bytes > ENTRY_BYTES_MAX - ENTRY_HEADER_BYTES) {
        return;
    }
    const size_t block_bytes = ENTRY_HEADER_BYTES + bytes;
    if (llmir_allocate(&device->allocator, block_bytes, 16, "pipeline cache", &entry, NULL) !=
        LLMIR_STATUS_OK) {
        return;
    }
    if (device->api.vkGetPipelineCacheData(device->device, program->pipeline_cache, &bytes,
                                           (uint8_t*)entry + ENTRY_HEADER_BYTES) == VK_SUCCESS &&
        bytes <= block_bytes - ENTRY_HEADER_BYTES) {
        put_entry(program, entry, ENTRY_HEADER_BYTES + bytes);
    }
    llmir_free(&device->allocator, entry, block_bytes, 16);
}

void llmir_vulkan_cache_close(llmir_vulkan_program_t* program) {
    const llmir_vulkan_device_t* device = device_of(program);
    device->api.vkDestroyPipelineCache(device->device, program->pipeline_cache, NULL);
    program->pipeline_cache = VK_NULL_HANDLE;
}
