/* The ring of a request's pieces. */
#include "core/scheduler/piece_queue.h"

#include <string.h>

void llmir_piece_queue_init(llmir_piece_queue_t* queue, char* text, size_t slot_bytes) {
    queue->text = text;
    queue->slot_bytes = slot_bytes;
    queue->first = 0;
    queue->count = 0;
    queue->is_reading = 0;
}

int llmir_piece_queue_has_room(const llmir_piece_queue_t* queue) {
    return queue->count < LLMIR_PIECE_QUEUE_SLOTS;
}

void llmir_piece_queue_push(llmir_piece_queue_t* queue, const llmir_piece_t* piece) {
    const uint32_t slot = (queue->first + queue->count) % LLMIR_PIECE_QUEUE_SLOTS;
    char* text = queue->text + slot * queue->slot_bytes;
    memcpy(text, piece->text, piece->text_bytes);
    queue->pieces[slot] = *piece;
    queue->pieces[slot].text = text;
    if (piece->top_count != 0) {
        memcpy(queue->top[slot], piece->top, piece->top_count * sizeof(*piece->top));
        queue->pieces[slot].top = queue->top[slot];
    }
    queue->count += 1u;
}

int llmir_piece_queue_take(llmir_piece_queue_t* queue, llmir_piece_t* out_piece) {
    if (queue->is_reading) {
        queue->first = (queue->first + 1u) % LLMIR_PIECE_QUEUE_SLOTS;
        queue->count -= 1u;
        queue->is_reading = 0;
    }
    if (queue->count == 0) {
        return 0;
    }
    queue->is_reading = 1;
    *out_piece = queue->pieces[queue->first];
    return 1;
}
