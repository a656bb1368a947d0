/* The pieces of a request that nobody has taken yet: a ring of slots, each with room for the
 * longest text of a piece. The piece that the application reads keeps its slot until it asks for
 * the next. Not locked: the scheduler's mutex guards it. */
#ifndef LLMIR_PIECE_QUEUE_H
#define LLMIR_PIECE_QUEUE_H

#include "llmir.h"

/* One of them is being read while the others wait. */
#define LLMIR_PIECE_QUEUE_SLOTS 16u

typedef struct llmir_piece_queue {
    llmir_piece_t pieces[LLMIR_PIECE_QUEUE_SLOTS];
    llmir_token_logprob_t top[LLMIR_PIECE_QUEUE_SLOTS][LLMIR_MAX_TOP_LOGPROBS];
    char* text; /* [slot][slot_bytes] */
    size_t slot_bytes;
    uint32_t first;
    uint32_t count;
    uint32_t is_reading; /* the first slot's piece is with the application */
} llmir_piece_queue_t;

/* Begins an empty queue over the caller's text. */
void llmir_piece_queue_init(llmir_piece_queue_t* queue, char* text, size_t slot_bytes);

/* Whether a piece fits. */
int llmir_piece_queue_has_room(const llmir_piece_queue_t* queue);

/* Copies a piece, its text of at most slot_bytes bytes and its likeliest tokens included. */
void llmir_piece_queue_push(llmir_piece_queue_t* queue, const llmir_piece_t* piece);

/* Gives the slot of the piece read before back, and the next piece out. 0: there is none. */
int llmir_piece_queue_take(llmir_piece_queue_t* queue, llmir_piece_t* out_piece);

#endif /* LLMIR_PIECE_QUEUE_H */
