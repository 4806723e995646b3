//! The other processes: the sink, and our client.

use std::path::PathBuf;

use acr_core::{Digest, Endpoint};
use acr_testkit::{SinkBuilder, Tls};
use clap::Subcommand;
use tokio::{runtime::Builder, task::JoinSet};

use crate::{measure::Measured, ours::Ours};

#[derive(Subcommand)]
pub(crate) enum Role {
    /// Serves until it is killed, and prints its origin
    #[command(hide = true)]
    Sink,
    /// Does one case, and prints what it took
    #[command(hide = true)]
    Ours {
        origin: String,
        repository: String,
        #[command(subcommand)]
        job: Job,
    },
}

#[derive(Subcommand, Clone)]
pub(crate) enum Job {
    Get { digest: String },
    PutFile { file: PathBuf },
    Ping { count: u64, tasks: u64 },
    SmallGet { digest: String, count: u64, tasks: u64 },
    Tags,
}

pub(crate) fn run(role: Role) {
    // One thread, as the yardstick has.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    match role {
        Role::Sink => runtime.block_on(async {
            let sink = SinkBuilder::new().serve(Tls::Off).await.unwrap();
            println!("{}", sink.endpoint());
            std::future::pending::<()>().await;
        }),
        Role::Ours { origin, repository, job } => {
            let address = origin.trim_start_matches("http://").parse().unwrap();
            let endpoint = Endpoint::insecure_loopback(address).unwrap();
            println!("{}", runtime.block_on(work(Ours::new(endpoint, &repository), job)));
        }
    }
}

async fn work(ours: Ours, job: Job) -> String {
    let measured = Measured::begin();
    let (bytes, requests) = match job {
        Job::Get { digest } => (ours.get(&digest.parse().unwrap()).await, 1),
        Job::PutFile { file } => (ours.put_file(&file).await, 3),
        Job::Ping { count, tasks } => {
            at_once(&ours, count, tasks, |ours: Ours| async move { ours.ping().await }).await;
            (0, count)
        }
        Job::SmallGet { digest, count, tasks } => {
            let digest: Digest = digest.parse().unwrap();
            let get = move |ours: Ours| {
                let digest = digest.clone();
                async move {
                    ours.get(&digest).await;
                }
            };
            at_once(&ours, count, tasks, get).await;
            (0, count)
        }
        Job::Tags => {
            assert_eq!(ours.tags().await, 10_000);
            (0, 100)
        }
    };
    measured.end(bytes, requests)
}

/// So many times the same, by so many tasks.
async fn at_once<F, Fut>(ours: &Ours, count: u64, tasks: u64, one: F)
where
    F: Fn(Ours) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    for task in 0..tasks {
        let (ours, one) = (ours.clone(), one.clone());
        let share = count / tasks + u64::from(task < count % tasks);
        running.spawn(async move {
            for _ in 0..share {
                one(ours.clone()).await;
            }
        });
    }
    running.join_all().await;
}
