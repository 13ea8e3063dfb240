// SPDX-License-Identifier: MIT

//! The Rust peer: axum on tokio, a bounded channel of 8, one task that takes 50 ms a job.
//!
//!     rust-peer ADDRESS [try|wait] [sleep|spin]
//!
//! `try` answers 429 when the channel is full; `wait` holds the request until there is room. With
//! `spin` a job computes for its 50 ms in place of sleeping.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{header, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::Router;
use tokio::net::TcpSocket;
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::mpsc;

const CAPACITY: usize = 8;
const WORK_TIME: Duration = Duration::from_millis(50);
const BACKLOG: u32 = 4096;

#[derive(Default)]
struct Counts {
    asked: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    done: AtomicU64,
}

#[derive(Clone)]
struct Queue {
    jobs: mpsc::Sender<u64>,
    counts: Arc<Counts>,
}

fn queued(counts: &Counts) -> Response {
    counts.accepted.fetch_add(1, Relaxed);
    (StatusCode::ACCEPTED, "queued\n").into_response()
}

async fn put_or_refuse(State(queue): State<Queue>) -> Response {
    let id = queue.counts.asked.fetch_add(1, Relaxed) + 1;
    match queue.jobs.try_send(id) {
        Ok(()) => queued(&queue.counts),
        Err(_) => {
            queue.counts.refused.fetch_add(1, Relaxed);
            (
                StatusCode::TOO_MANY_REQUESTS,
                [(header::RETRY_AFTER, "1")],
                "busy\n",
            )
                .into_response()
        }
    }
}

async fn put_or_wait(State(queue): State<Queue>) -> Response {
    let id = queue.counts.asked.fetch_add(1, Relaxed) + 1;
    match queue.jobs.send(id).await {
        Ok(()) => queued(&queue.counts),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn stats(State(queue): State<Queue>) -> String {
    let c = &queue.counts;
    format!(
        "accepted {}\nrefused {}\ndone {}\n",
        c.accepted.load(Relaxed),
        c.refused.load(Relaxed),
        c.done.load(Relaxed)
    )
}

async fn work(mut jobs: mpsc::Receiver<u64>, counts: Arc<Counts>, spin: bool) {
    while let Some(id) = jobs.recv().await {
        if spin {
            let start = Instant::now();
            while start.elapsed() < WORK_TIME {
                std::hint::spin_loop();
            }
        } else {
            tokio::time::sleep(WORK_TIME).await;
        }
        println!("done job {id}");
        counts.done.fetch_add(1, Relaxed);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr = arguments
        .next()
        .ok_or("usage: rust-peer ADDRESS [try|wait] [sleep|spin]")?
        .parse()?;
    let rest: Vec<String> = arguments.collect();
    let says = |word: &str| rest.iter().any(|given| given == word);

    let counts = Arc::new(Counts::default());
    let (jobs, waiting) = mpsc::channel(CAPACITY);
    let worker = tokio::spawn(work(waiting, counts.clone(), says("spin")));
    let put = if says("wait") {
        get(put_or_wait).post(put_or_wait)
    } else {
        get(put_or_refuse).post(put_or_refuse)
    };
    let app = Router::new()
        .route("/do", put)
        .route("/stats", get(stats))
        .with_state(Queue { jobs, counts });

    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let mut stop = signal(SignalKind::terminate())?;
    axum::serve(socket.listen(BACKLOG)?, app)
        .with_graceful_shutdown(async move {
            stop.recv().await;
        })
        .await?;
    // The application is gone and with it the last sender: the worker ends when it has run the rest.
    worker.await?;
    Ok(())
}
