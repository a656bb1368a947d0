/* The thread pool: one barrier per step, no lock while steps follow each other quickly.
 *
 * No step waits for a thread that has not come: a step is done when its tiles are done, not when
 * all threads have arrived. A thread that wakes late finds the tiles taken and moves on, so more
 * threads than processors cost little. Two words tell a thread what to wait for:
 *
 *   epoch    odd while a job runs. A thread enters a job by counting itself in `inside` and then
 *            looking at epoch again; `run` makes epoch even and waits until `inside` is 0. One of
 *            the two always sees the other (both words are sequentially consistent).
 *   current  the step that has tiles to take, or `step_count` when the job is over.
 *
 * Waiting means spinning for microseconds, then sleeping on the condition. Who changes a word looks
 * at `sleeper_count` afterwards; who goes to sleep counts itself there before looking at the word
 * again: again one of the two sees the other. */
#include "targets/cpu/cpu_pool.h"

#define POOL_ALIGNMENT 64u

/* How long to spin before sleeping. Waking takes about as long as SPIN_STEP_NS, so spinning that
 * long at most doubles the cost of either choice. Between jobs the caller samples, prints or idles:
 * threads are soon off the processor. */
#define SPIN_STEP_NS 30000u
#define SPIN_IDLE_NS 10000u
#define SPIN_CROWDED_NS 1000u /* more threads than cores: spinning keeps others from working */
#define SPINS_PER_CLOCK 32u   /* looks at the word between two looks at the clock */
#define MAX_CLOCK_LOOKS 4096u /* ends the spinning even if the clock stands still */

typedef struct pool_thread {
    llmir_thread_t handle;
    llmir_cpu_pool_t* pool;
} pool_thread_t;

struct llmir_cpu_pool {
    /* Written at every step; the padding keeps their lines apart. */
    llmir_atomic_u32_t current;
    uint32_t padding0[15];
    /* Written at every job. */
    llmir_atomic_u32_t epoch;
    llmir_atomic_u32_t inside; /* threads in the job, the caller not counted */
    uint32_t is_cancelled;     /* written by the thread that opens steps, read after the job */
    uint32_t padding1[13];
    /* Written when a thread sleeps. */
    llmir_atomic_u32_t sleeper_count;
    uint32_t padding2[15];
    /* Constant while threads look. */
    llmir_cpu_job_t job;       /* of the odd epoch */
    llmir_executor_t executor; /* run is NULL: own threads */
    uint32_t thread_count;
    llmir_atomic_u32_t is_ending;
    uint64_t spin_step_ns;
    uint64_t spin_idle_ns;
    llmir_mutex_t mutex;
    llmir_condition_t condition;
    llmir_allocator_t allocator;
    size_t bytes;
    uint32_t lock_count; /* what init has made, for destroy: mutex, condition */
    uint32_t started_count;
    pool_thread_t threads[]; /* [thread_count - 1] */
};

/* ---- Waiting ---- */

/* Spins while `word` is `seen`, at most `limit_ns`; returns whether it changed. */
static int spin_while(const llmir_atomic_u32_t* word, uint32_t seen, uint64_t limit_ns) {
    uint64_t deadline = 0;
    for (uint32_t look = 0; look < MAX_CLOCK_LOOKS; ++look) {
        for (uint32_t i = 0; i < SPINS_PER_CLOCK; ++i) {
            if (llmir_atomic_load_acquire(word) != seen) {
                return 1;
            }
            llmir_cpu_relax();
        }
        const uint64_t now = llmir_clock_ns();
        if (look == 0) {
            deadline = now + limit_ns;
        } else if (now >= deadline) {
            break;
        }
    }
    return 0;
}

static void wait_while(llmir_cpu_pool_t* pool,
                       const llmir_atomic_u32_t* word,
                       uint32_t seen,
                       uint64_t spin_ns) {
    if (spin_while(word, seen, spin_ns)) {
        return;
    }
    (void)llmir_atomic_add(&pool->sleeper_count, 1);
    llmir_mutex_lock(&pool->mutex);
    while (llmir_atomic_load(word) == seen) {
        llmir_condition_wait(&pool->condition, &pool->mutex);
    }
    llmir_mutex_unlock(&pool->mutex);
    (void)llmir_atomic_add(&pool->sleeper_count, UINT32_MAX); /* minus one */
}

/* To be called after a word has changed by llmir_atomic_add. Holding the mutex once makes sure that
 * a thread that has seen the old word is already waiting for the condition. */
static void wake_sleepers(llmir_cpu_pool_t* pool) {
    if (llmir_atomic_load(&pool->sleeper_count) != 0) {
        llmir_mutex_lock(&pool->mutex);
        llmir_mutex_unlock(&pool->mutex);
        llmir_condition_broadcast(&pool->condition);
    }
}

/* ---- Steps ---- */

/* Claims are numbered. Each round of thread_count claims hands out half of the tiles that are left,
 * in equal parts: large ones first, to claim rarely, single tiles last, to finish together
 * (factoring; Hummel, Schonberg and Flynn 1992). A thread's claims of a step ascend, so it goes
 * through the rounds once. */
typedef struct claim_round {
    uint32_t first_claim;
    uint32_t begin; /* the round's first tile */
    uint32_t part;  /* tiles of one claim */
} claim_round_t;

static uint32_t part_of(uint32_t tiles_left, uint32_t thread_count) {
    return tiles_left < 2 * thread_count ? 1 : tiles_left / (2 * thread_count);
}

/* Finds the tiles of a claim; 0 if there are none left. */
static int find_tiles(claim_round_t* round,
                      uint32_t claim,
                      uint32_t tile_count,
                      uint32_t thread_count,
                      uint32_t* out_begin,
                      uint32_t* out_end) {
    while (claim - round->first_claim >= thread_count) {
        const uint32_t taken = round->part * thread_count;
        if (taken >= tile_count - round->begin) {
            return 0;
        }
        round->first_claim += thread_count;
        round->begin += taken;
        round->part = part_of(tile_count - round->begin, thread_count);
    }
    const uint32_t before = (claim - round->first_claim) * round->part;
    const uint32_t left = tile_count - round->begin;
    if (before >= left) {
        return 0;
    }
    *out_begin = round->begin + before;
    *out_end = *out_begin + (round->part < left - before ? round->part : left - before);
    return 1;
}

/* The first step from `step` on that has tiles; step_count if there is none or the job is cancelled
 * before it. */
static uint32_t next_step(llmir_cpu_pool_t* pool, uint32_t step) {
    const llmir_cpu_job_t* job = &pool->job;
    while (step < job->step_count && job->steps[step].tile_count == 0) {
        ++step;
    }
    if (step < job->step_count && job->cancel != NULL && llmir_atomic_load(job->cancel) != 0) {
        pool->is_cancelled = 1;
        return job->step_count;
    }
    return step;
}

/* Takes and computes tiles of a step until none is left; opens the next step if the last tile to be
 * completed was among them. */
static void run_step(llmir_cpu_pool_t* pool, uint32_t index) {
    const llmir_cpu_job_t* job = &pool->job;
    llmir_cpu_step_t* step = &job->steps[index];
    claim_round_t round = {0, 0, part_of(step->tile_count, pool->thread_count)};
    uint32_t done = 0, begin, end;
    while (find_tiles(&round, llmir_atomic_add(&step->claim_count, 1), step->tile_count,
                      pool->thread_count, &begin, &end)) {
        job->run(job->user, index, begin, end);
        done += end - begin;
    }
    if (done == 0) {
        return;
    }
    const uint32_t before = llmir_atomic_add(&step->completed_tiles, done);
    if (before + done == step->tile_count) {
        (void)llmir_atomic_add(&pool->current, next_step(pool, index + 1) - index);
        wake_sleepers(pool);
    }
}

static void walk_job(llmir_cpu_pool_t* pool) {
    for (;;) {
        const uint32_t index = llmir_atomic_load_acquire(&pool->current);
        if (index >= pool->job.step_count) {
            return;
        }
        run_step(pool, index);
        wait_while(pool, &pool->current, index, pool->spin_step_ns);
    }
}

static void run_thread(void* user) {
    llmir_cpu_pool_t* pool = ((pool_thread_t*)user)->pool;
    uint32_t epoch = 0;
    for (;;) {
        wait_while(pool, &pool->epoch, epoch, pool->spin_idle_ns);
        epoch = llmir_atomic_load(&pool->epoch);
        if (epoch % 2 == 0) {
            if (llmir_atomic_load_acquire(&pool->is_ending) != 0) {
                return;
            }
            continue;
        }
        (void)llmir_atomic_add(&pool->inside, 1);
        if (llmir_atomic_load(&pool->epoch) == epoch) {
            walk_job(pool);
        }
        (void)llmir_atomic_add(&pool->inside, UINT32_MAX);
        wake_sleepers(pool);
    }
}

static void run_alone(llmir_cpu_pool_t* pool) {
    const llmir_cpu_job_t* job = &pool->job;
    uint32_t step = 0;
    while ((step = next_step(pool, step)) < job->step_count) {
        job->run(job->user, step, 0, job->steps[step].tile_count);
        ++step;
    }
}

static void run_task(void* task_user, uint32_t index) {
    (void)index;
    walk_job(task_user);
}

/* Makes the first step current; 0 if there is nothing to do. */
static int open_job(llmir_cpu_pool_t* pool) {
    /* No thread is inside, so these plain orders suffice; epoch publishes them, or the executor. */
    for (uint32_t i = 0; i < pool->job.step_count; ++i) {
        llmir_atomic_store_release(&pool->job.steps[i].claim_count, 0);
        llmir_atomic_store_release(&pool->job.steps[i].completed_tiles, 0);
    }
    const uint32_t first = next_step(pool, 0);
    llmir_atomic_store_release(&pool->current, first);
    return first != pool->job.step_count;
}

/* The application's threads walk the job. Whatever the executor did, the caller walks it too: what
 * is left, it computes. */
static void run_on_executor(llmir_cpu_pool_t* pool) {
    if (open_job(pool)) {
        pool->executor.run(pool->executor.self, run_task, pool, pool->thread_count);
        walk_job(pool);
    }
}

static void run_together(llmir_cpu_pool_t* pool) {
    if (!open_job(pool)) {
        return;
    }
    (void)llmir_atomic_add(&pool->epoch, 1);
    wake_sleepers(pool);
    walk_job(pool);
    (void)llmir_atomic_add(&pool->epoch, 1);
    for (;;) {
        const uint32_t inside = llmir_atomic_load(&pool->inside);
        if (inside == 0) {
            return;
        }
        wait_while(pool, &pool->inside, inside, pool->spin_step_ns);
    }
}

llmir_status_t llmir_cpu_pool_run(llmir_cpu_pool_t* pool,
                                  const llmir_cpu_job_t* job,
                                  llmir_error_t* error) {
    pool->job = *job;
    pool->is_cancelled = 0;
    if (pool->thread_count == 1) {
        run_alone(pool);
    } else if (pool->executor.run != NULL) {
        run_on_executor(pool);
    } else {
        run_together(pool);
    }
    if (pool->is_cancelled) {
        return llmir_fail(error, LLMIR_STATUS_CANCELLED, "the computation was cancelled");
    }
    return LLMIR_STATUS_OK;
}

/* ---- Life ---- */

static llmir_status_t pool_init(llmir_cpu_pool_t* pool, uint32_t core_count, llmir_error_t* error) {
    LLMIR_TRY(llmir_mutex_init(&pool->mutex, error));
    pool->lock_count = 1;
    LLMIR_TRY(llmir_condition_init(&pool->condition, error));
    pool->lock_count = 2;
    const int is_crowded = pool->thread_count > core_count;
    pool->spin_step_ns = is_crowded ? SPIN_CROWDED_NS : SPIN_STEP_NS;
    pool->spin_idle_ns = is_crowded ? SPIN_CROWDED_NS : SPIN_IDLE_NS;
    for (uint32_t i = 0; i + 1 < pool->thread_count && pool->executor.run == NULL; ++i) {
        pool_thread_t* thread = &pool->threads[i];
        thread->pool = pool;
        LLMIR_TRY(llmir_thread_start(&thread->handle, run_thread, thread, error));
        pool->started_count = i + 1;
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_cpu_pool_create(const llmir_allocator_t* allocator,
                                     uint32_t thread_count,
                                     uint32_t core_count,
                                     const llmir_executor_t* executor,
                                     llmir_cpu_pool_t** out_pool,
                                     llmir_error_t* error) {
    *out_pool = NULL;
    if (thread_count == 0 || thread_count > LLMIR_CPU_MAX_THREADS) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "%u threads: expected 1 .. %u",
                          thread_count, LLMIR_CPU_MAX_THREADS);
    }
    const size_t bytes = sizeof(llmir_cpu_pool_t) + (thread_count - 1) * sizeof(pool_thread_t);
    void* block = NULL;
    LLMIR_TRY(llmir_allocate(allocator, bytes, POOL_ALIGNMENT, "thread pool", &block, error));
    llmir_cpu_pool_t* pool = block;
    pool->allocator = *allocator;
    pool->bytes = bytes;
    pool->thread_count = thread_count;
    if (executor != NULL) {
        pool->executor = *executor;
    }
    const llmir_status_t status = pool_init(pool, core_count, error);
    if (status != LLMIR_STATUS_OK) {
        llmir_cpu_pool_destroy(pool);
        return status;
    }
    *out_pool = pool;
    return LLMIR_STATUS_OK;
}

void llmir_cpu_pool_destroy(llmir_cpu_pool_t* pool) {
    if (pool == NULL) {
        return;
    }
    if (pool->started_count > 0) {
        llmir_atomic_store_release(&pool->is_ending, 1);
        (void)llmir_atomic_add(&pool->epoch, 2); /* stays even: no job */
        wake_sleepers(pool);
    }
    for (uint32_t i = 0; i < pool->started_count; ++i) {
        llmir_thread_join(&pool->threads[i].handle);
    }
    if (pool->lock_count > 1) {
        llmir_condition_deinit(&pool->condition);
    }
    if (pool->lock_count > 0) {
        llmir_mutex_deinit(&pool->mutex);
    }
    const llmir_allocator_t allocator = pool->allocator;
    llmir_free(&allocator, pool, pool->bytes, POOL_ALIGNMENT);
}

uint32_t llmir_cpu_pool_thread_count(const llmir_cpu_pool_t* pool) {
    return pool->thread_count;
}
