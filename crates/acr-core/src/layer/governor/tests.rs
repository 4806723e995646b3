use std::{
    collections::HashSet, future::Future, pin::pin, sync::Mutex, task::Waker, time::Duration,
};

use bytes::Bytes;
use futures_util::future::{join_all, poll_immediate};
use http::StatusCode;
use http_body_util::Empty;
use tokio::time::Instant;
use tower::{ServiceExt as _, limit::ConcurrencyLimit, service_fn, util::BoxCloneService};

use super::*;
use crate::{
    http::error::{Error, ErrorKind},
    layer::{RetryLayer, RetryPolicy},
};

type Answer = http::Response<Empty<Bytes>>;
type Host = BoxCloneService<http::Request<Empty<Bytes>>, Answer, Error>;
type Seen = Arc<Mutex<Vec<(Duration, String)>>>;

/// Takes a moment for each call, and then answers as `status` says of its number and its URL.
fn host(
    takes: Duration,
    status: impl Fn(usize, &Uri) -> (u16, &'static str) + Send + Sync + 'static,
) -> (Host, Seen) {
    let (seen, status, start) = (Seen::default(), Arc::new(status), Instant::now());
    let log = Arc::clone(&seen);
    let service = service_fn(move |request: http::Request<Empty<Bytes>>| {
        let number = {
            let mut log = log.lock().unwrap();
            log.push((start.elapsed(), request.uri().path().to_owned()));
            log.len() - 1
        };
        let (status, wish) = status(number, request.uri());
        async move {
            tokio::time::sleep(takes).await;
            let mut answer = http::Response::new(Empty::new());
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            if !wish.is_empty() {
                answer.headers_mut().insert("retry-after", wish.parse().unwrap());
            }
            Ok::<_, Error>(answer)
        }
    });
    (BoxCloneService::new(service), seen)
}

fn governed(method: &str, url: &str) -> http::Request<Empty<Bytes>> {
    let mut request = http::Request::builder().method(method).uri(url).body(Empty::new()).unwrap();
    CallOptions::new().governed().apply_to(&mut request);
    request
}

fn get(url: &str) -> http::Request<Empty<Bytes>> {
    governed("GET", url)
}

/// Nobody is on the way any more, and nobody waits.
fn is_idle(governor: &Governor) -> bool {
    governor.snapshot().iter().all(|lane| lane.in_flight == 0 && lane.waiting == 0)
}

const MOMENT: Duration = Duration::from_millis(10);

#[tokio::test(start_paused = true)]
async fn only_marked_calls_of_the_same_kind_and_host_are_held_back() {
    let (host, _) = host(MOMENT, |number, _| if number == 0 { (429, "7") } else { (200, "") });
    let stack = GovernorLayer::new(&Governor::new()).layer(host);
    let start = Instant::now();
    assert_eq!(stack.clone().oneshot(get("https://a/1")).await.unwrap().status(), 429);
    let unmarked = http::Request::get("https://a/2").body(Empty::new()).unwrap();
    for passes in
        [unmarked, governed("PUT", "https://a/3"), get("https://b/4"), get("https://a:1/")]
    {
        assert_eq!(stack.clone().oneshot(passes).await.unwrap().status(), 200);
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    for held in ["https://a/5", "https://A:443/6"] {
        assert_eq!(stack.clone().oneshot(get(held)).await.unwrap().status(), 200);
        assert!(start.elapsed() >= Duration::from_secs(7), "{held}: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn calls_go_in_the_order_in_which_they_came() {
    let (host, seen) = host(MOMENT, |number, _| if number == 0 { (429, "2") } else { (200, "") });
    let stack = GovernorLayer::new(&Governor::new()).layer(host);
    stack.clone().oneshot(get("https://a/first")).await.unwrap();
    let calls = (0..100).map(|number| stack.clone().oneshot(get(&format!("https://a/{number}"))));
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    let seen = seen.lock().unwrap();
    let order: Vec<_> = seen.iter().skip(1).map(|(_, path)| path.clone()).collect();
    assert_eq!(order, (0..100).map(|number| format!("/{number}")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn one_host_that_throttles_holds_back_no_other() {
    let (host, seen) = host(MOMENT, |_, uri| match uri.host() {
        Some("busy") => (429, "30"),
        _ => (200, ""),
    });
    let stack = GovernorLayer::new(&Governor::new()).layer(host);
    let start = Instant::now();
    let mut busy: Vec<_> =
        (0..20).map(|_| Box::pin(stack.clone().oneshot(get("https://busy/")))).collect();
    for call in &mut busy {
        poll_immediate(call).await;
    }
    for _ in 0..500 {
        stack.clone().oneshot(get("https://free/")).await.unwrap();
    }
    assert!(start.elapsed() <= MOMENT * 501, "{:?}", start.elapsed());
    assert_eq!(seen.lock().unwrap().iter().filter(|(_, path)| path == "/").count(), 520);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_an_error_that_says_what_to_do() {
    let governor = Governor::new().most_waiting(2);
    let (host, _) = host(MOMENT, |_, _| (429, "5"));
    let stack = GovernorLayer::new(&governor).layer(host);
    stack.clone().oneshot(get("https://a/")).await.unwrap();
    let mut waiting: Vec<_> =
        (0..2).map(|_| Box::pin(stack.clone().oneshot(get("https://a/")))).collect();
    for call in &mut waiting {
        assert!(poll_immediate(call).await.is_none());
    }
    let error = Error::from(stack.clone().oneshot(get("https://a/")).await.unwrap_err());
    assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Throttled, true));
    assert!(error.to_string().contains("most_waiting"), "{error}");
    drop(waiting);
    assert!(is_idle(&governor));
}

/// Ten tasks in a lane that throttled, so that one asks first and the others follow slowly; one of
/// them is dropped after so long: waiting, first in the queue, or on its way. All others end.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_lets_the_next_one_come_up_wherever_it_was() {
    for dropped in 0..10 {
        for after in [0, 1, 500, 1_000, 1_050, 1_105, 1_110, 3_000, 9_000, 20_000] {
            let governor = Governor::new();
            let (host, _) =
                host(MOMENT, |number, _| if number == 0 { (429, "") } else { (200, "") });
            let stack = GovernorLayer::new(&governor).layer(host);
            stack.clone().oneshot(get("https://a/")).await.unwrap();
            let tasks: Vec<_> = (0..10)
                .map(|number| {
                    // A task each: nobody is polled but who is woken.
                    let call = stack.clone().oneshot(get("https://a/"));
                    let limit = if number == dropped { after } else { 3_600_000 };
                    tokio::spawn(tokio::time::timeout(Duration::from_millis(limit), call))
                })
                .collect();
            for (number, task) in tasks.into_iter().enumerate() {
                match task.await.unwrap() {
                    Ok(answer) => assert_eq!(answer.unwrap().status(), 200),
                    Err(_) => assert_eq!(number, dropped, "{dropped} dropped after {after} ms"),
                }
            }
            assert!(is_idle(&governor), "{governor:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_on_its_way_is_followed_by_another() {
    let governor = Governor::new();
    let (host, seen) = host(MOMENT, |number, _| if number == 0 { (429, "") } else { (200, "") });
    let stack = GovernorLayer::new(&governor).layer(host);
    stack.clone().oneshot(get("https://a/")).await.unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    let mut probe = Box::pin(stack.clone().oneshot(get("https://a/probe")));
    assert!(poll_immediate(&mut probe).await.is_none());
    let mut next = pin!(stack.clone().oneshot(get("https://a/next")));
    assert!(poll_immediate(&mut next).await.is_none());
    assert_eq!(seen.lock().unwrap().len(), 2, "the second waits for the first");
    drop(probe);
    assert_eq!(next.await.unwrap().status(), 200);
    assert!(is_idle(&governor));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_throttles_for_ever_ends_in_errors() {
    for wish in ["", "1", "60", "86400"] {
        let governor = Governor::new();
        let (host, seen) = host(MOMENT, move |_, _| (429, wish));
        let stack = RetryLayer::new(RetryPolicy::default())
            .layer(GovernorLayer::new(&governor).layer(host));
        let calls = (0..64).map(|_| stack.clone().oneshot(get("https://a/")));
        let all = tokio::time::timeout(Duration::from_secs(3_600), join_all(calls)).await;
        for answer in all.unwrap_or_else(|_| panic!("hangs with `{wish}`: {governor:?}")) {
            assert_eq!(answer.unwrap().status(), 429);
        }
        assert!(is_idle(&governor));
        assert!(seen.lock().unwrap().len() <= 64 * 4);
    }
}

/// On several threads, with calls that are dropped at any moment: nobody is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lane_forgets_nobody_on_many_threads() {
    let governor = Governor::new();
    let host = service_fn(|_: http::Request<Empty<Bytes>>| async {
        tokio::task::yield_now().await;
        Ok::<_, Error>(http::Response::new(Empty::<Bytes>::new()))
    });
    let stack = GovernorLayer::new(&governor).layer(host);
    let tasks: Vec<_> = (0..400_u64)
        .map(|seed| {
            let stack = stack.clone();
            tokio::spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut ended = 0;
                for _ in 0..50 {
                    let mut call = Box::pin(stack.clone().oneshot(get("https://a/")));
                    if random.u8(..4) == 0 {
                        for _ in 0..random.u8(..4) {
                            if poll_immediate(&mut call).await.is_some() {
                                break;
                            }
                            tokio::task::yield_now().await;
                        }
                        continue;
                    }
                    call.await.unwrap();
                    ended += 1;
                }
                ended
            })
        })
        .collect();
    let all = tokio::time::timeout(Duration::from_secs(60), join_all(tasks)).await;
    let all = all.unwrap_or_else(|_| panic!("somebody waits for ever: {governor:?}"));
    let ended: u64 = all.into_iter().map(Result::unwrap).sum();
    assert!(is_idle(&governor) && governor.snapshot()[0].taken >= ended, "{governor:?}");
}

#[tokio::test(start_paused = true)]
async fn more_hosts_than_are_kept_are_no_harm() {
    let governor = Governor::new();
    let (host, _) = host(MOMENT, |_, _| (200, ""));
    let stack = GovernorLayer::new(&governor).layer(host);
    for number in 0..200 {
        stack.clone().oneshot(get(&format!("https://h{number}/"))).await.unwrap();
        stack.clone().oneshot(get("https://often/")).await.unwrap();
    }
    let names: HashSet<_> = governor.snapshot().into_iter().map(|lane| lane.host).collect();
    assert_eq!(names.len(), MOST_HOSTS);
    assert!(names.contains("often") && names.contains("h199") && !names.contains("h0"));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_and_an_overloaded_host_make_the_window_smaller() {
    let governor = Governor::new();
    let timed_out =
        service_fn(|_| async { Err::<Answer, _>(Error::new(ErrorKind::Timeout, "no answer")) });
    let stack = GovernorLayer::new(&governor).layer(timed_out);
    let window = || governor.snapshot()[0].window;
    stack.clone().oneshot(get("https://a/")).await.unwrap_err();
    let first = window();
    tokio::time::advance(MOMENT).await;
    stack.oneshot(get("https://a/")).await.unwrap_err();
    let second = window();
    assert!(second < first);
    let (host, _) = host(MOMENT, |_, _| (503, ""));
    GovernorLayer::new(&governor).layer(host).oneshot(get("https://a/")).await.unwrap();
    assert!(window() < second);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_is_waited_for_and_its_place_is_not_kept() {
    let (host, seen) = host(MOMENT, |number, _| if number == 0 { (429, "3") } else { (200, "") });
    let limited = ConcurrencyLimit::new(host, 1);
    let stack = GovernorLayer::new(&Governor::new()).layer(limited.clone());
    stack.clone().oneshot(get("https://a/")).await.unwrap();
    let mut held = pin!(stack.clone().oneshot(get("https://a/held")));
    assert!(poll_immediate(&mut held).await.is_none());
    // Whoever goes past the governor finds the limit's only place free.
    let start = Instant::now();
    limited.oneshot(get("https://a/past")).await.unwrap();
    assert_eq!(start.elapsed(), MOMENT);
    held.await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_polls_again_after_the_end_does_no_harm() {
    let (host, _) = host(MOMENT, |_, _| (200, ""));
    let mut stack = GovernorLayer::new(&Governor::new()).layer(host);
    let mut call = pin!(stack.call(get("https://a/")));
    call.as_mut().await.unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(call.poll(&mut cx).is_pending());
}
