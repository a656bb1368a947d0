/* What streams do: queued, recorded into graphs, and done when somebody waits. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/fake_driver/fake_execute.h"
#include "tests/support/fake_driver/fake_state.h"

void fake_queue_append(fake_queue_t* queue, const fake_work_t* work) {
    fake_work_t* copy = malloc(sizeof *copy);
    if (copy == NULL) {
        abort();
    }
    *copy = *work;
    copy->next = NULL;
    if (queue->last != NULL) {
        queue->last->next = copy;
    } else {
        queue->first = copy;
    }
    queue->last = copy;
}

void fake_queue_clear(fake_queue_t* queue) {
    while (queue->first != NULL) {
        fake_work_t* work = queue->first;
        queue->first = work->next;
        free(work);
    }
    queue->last = NULL;
}

int fake_work_add(fake_object_t* stream, const fake_work_t* work) {
    fake_queue_append(&stream->work, work);
    return 0;
}

/* Whether a range lies in pinned memory: what is not must not be copied asynchronously. */
static int is_pinned(const uint8_t* memory, size_t bytes) {
    for (const fake_object_t* object = fake.objects; object != NULL; object = object->next) {
        if (object->kind == FAKE_HOST_MEMORY && object->is_live && memory >= object->memory &&
            memory + bytes <= object->memory + object->bytes) {
            return 1;
        }
    }
    fake_fault("a copy of %zu bytes that are not pinned", bytes);
    return 0;
}

static int execute(const fake_work_t* work) {
    fake_launch_t launch = {
        .run = work->function->run,
        .words = work->arguments.words,
        .grid_x = work->grid_x,
        .grid_y = work->grid_y,
        .threads = work->threads,
        .has_barrier = work->function->has_barrier,
        .is_wrong = fake.is_wrong,
    };
    if (!work->function->is_live) {
        fake_fault("a kernel whose module was unloaded");
        return FAKE_INVALID_HANDLE;
    }
    for (uint32_t i = 0; i < LLMIR_GPU_BINDING_COUNT; ++i) {
        const uint64_t address = work->arguments.bindings[i];
        if (address != 0) {
            launch.bindings[i] = (uint32_t*)(void*)fake_range(address, 4, "binding");
            if (launch.bindings[i] == NULL) {
                return FAKE_ILLEGAL_ADDRESS;
            }
        }
    }
    ++fake.control.launches;
    const uint32_t waiting = fake_execute_groups(&launch);
    if (waiting != 0) {
        fake_fault("%u of %u threads of a workgroup wait at a barrier, the others are done",
                   waiting, launch.threads);
        abort(); /* the coroutines cannot be used again */
    }
    return 0;
}

static int do_work(const fake_work_t* work) {
    if (work->kind == FAKE_LAUNCH) {
        return execute(work);
    }
    uint8_t* to = NULL;
    uint8_t* from = NULL;
    if (work->kind != FAKE_TO_HOST) {
        to = fake_range(work->to, work->bytes, "target of a copy");
    } else if (is_pinned(work->host, work->bytes)) {
        to = work->host;
    }
    if (work->kind == FAKE_ON_DEVICE || work->kind == FAKE_TO_HOST) {
        from = fake_range(work->from, work->bytes, "source of a copy");
    } else if (work->kind == FAKE_TO_DEVICE && is_pinned(work->host, work->bytes)) {
        from = work->host;
    }
    if (to == NULL || (from == NULL && work->kind != FAKE_FILL)) {
        return FAKE_ILLEGAL_ADDRESS;
    }
    if (work->kind != FAKE_FILL) {
        fake.control.read_bytes += work->kind == FAKE_TO_HOST ? work->bytes : 0u;
        memmove(to, from, work->bytes);
        return 0;
    }
    for (size_t i = 0; i < work->bytes; i += 4) {
        memcpy(to + i, &work->word, 4);
    }
    return 0;
}

int fake_work_run(fake_object_t* stream) {
    if (stream->is_capturing) {
        fake_fault("waiting for a stream that is being recorded");
        return FAKE_CAPTURE_INVALID;
    }
    for (const fake_work_t* work = stream->work.first; work != NULL && fake.sticky == 0;
         work = work->next) {
        fake.sticky = do_work(work);
    }
    fake_queue_clear(&stream->work);
    return fake.sticky;
}
