//! The queue of the reader threads. A thread that finds nothing sleeps at once.
//!
//! A channel's receiver spins and yields for a while before it sleeps, in case something comes soon. Here that is the time of
//! those who would send it: with 32 clients on two cores it was a sixth of the processor time of a short read.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Jobs in the order they came, for several threads.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

struct State<T> {
    jobs: VecDeque<T>,
    /// Threads that sleep, and how many of them were told to wake up but did not get to it yet. Telling is a system call,
    /// to be spared where it changes nothing: who wakes up works until there is nothing left.
    sleeping: usize,
    woken: usize,
    closed: bool,
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl<T> Queue<T> {
    pub fn new() -> Self {
        let state = State { jobs: VecDeque::new(), sleeping: 0, woken: 0, closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new() }
    }

    /// Adds a job.
    pub fn push(&self, job: T) {
        let mut state = self.lock();
        state.jobs.push_back(job);
        if state.sleeping > state.woken {
            state.woken += 1;
            drop(state);
            self.filled.notify_one();
        }
    }

    /// The next job; waits for it. `None` once the queue is closed and empty.
    pub fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.sleeping += 1;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.sleeping -= 1;
            // Threads may wake up untold.
            state.woken = state.woken.saturating_sub(1);
        }
    }

    /// From now on an empty queue is the end.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic happens under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    #[test]
    fn every_job_goes_to_one_thread_and_all_end_when_it_is_closed() {
        let queue = Arc::new(Queue::new());
        let (done, results) = mpsc::channel();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (queue, done) = (Arc::clone(&queue), done.clone());
                std::thread::spawn(move || {
                    while let Some(job) = queue.pop() {
                        done.send(job).expect("the test waits");
                    }
                })
            })
            .collect();
        drop(done);
        // The threads have to wake up again: all jobs are done before the second half comes.
        for half in [0..500, 500..1_000] {
            half.clone().for_each(|job| queue.push(job));
            let mut got: Vec<i32> = half.clone().map(|_| results.recv().expect("every job is done")).collect();
            got.sort_unstable();
            assert_eq!(got, half.collect::<Vec<_>>());
        }
        queue.push(1_000);
        queue.close();
        // What was there before the end is done.
        assert_eq!(results.recv(), Ok(1_000));
        for thread in threads {
            thread.join().expect("the thread ended");
        }
        assert!(results.recv().is_err());
    }
}
