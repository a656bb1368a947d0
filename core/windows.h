/* Layers with a window keep the pages of their window alone, apart from those of the other layers:
 * pages of both kinds hold the same positions, a session has a table for each.
 *
 *   all      every position from 0 on, with the ids of the tokens; layers that look back to 0
 *   window   the positions that the next token's windows reach, and some before them
 *
 * The pages in front of a window go back to the pool as the session moves on; published ones stay
 * there as long as nobody needs the room. A session is moved back by a few tokens for nothing, and
 * further as far as those pages are still there; else its tokens are computed again, at the next
 * call that needs them (`uncomputed` in session.h). Without windows, and where windows are as long
 * as the context, the second kind has no pages and all of this does nothing. */
#ifndef LLMIR_WINDOWS_H
#define LLMIR_WINDOWS_H

#include "core/session.h"

/* First position of the page from which a session at `position` needs the window's pages. It has a
 * page more than the next token reads, so that a page can be computed again (session_file.c). */
uint32_t llmir_windows_first_page(const llmir_pool_t* pool, uint32_t position);

/* Whether the window's pages for `token_count` positions can be had. */
int llmir_windows_can_grow(const llmir_session_t* session, uint32_t token_count);

/* Reserves them; 0 if they cannot be had. */
int llmir_windows_grow(llmir_session_t* session, uint32_t token_count, llmir_kv_copy_t* out_copy);

/* Gives back the pages in front of the window. */
void llmir_windows_drop(llmir_session_t* session);

/* Publishes the pages completed since `from` under the names of the others. */
void llmir_windows_publish(llmir_session_t* session, uint32_t from);

/* llmir_kv_pages_match, as far as the window's pages are there, too. */
uint32_t llmir_windows_match(llmir_session_t* session,
                             const int32_t* tokens,
                             size_t token_count,
                             int take);

/* Moves the session back to `position`. If the window's pages for it are gone, the session is moved
 * to 0 and its tokens wait to be computed. */
void llmir_session_rewind(llmir_session_t* session, uint32_t position);

/* The same for a session whose tokens from `position` on are given up anyway; returns where it is:
 * there, or at 0 if that needs pages that are gone. Nothing waits to be computed. */
uint32_t llmir_windows_retreat(llmir_session_t* session, uint32_t position);

#endif /* LLMIR_WINDOWS_H */
