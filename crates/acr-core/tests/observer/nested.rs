//! Observers around observers: each is told all that its layer can know.

use std::sync::{Arc, Mutex};

use acr_core::layer::{ObserveCallLayer, ObserveExchangeLayer};
use http::Method;

use crate::recorder::{Recorder, answer, observed, request};

#[tokio::test(start_paused = true)]
async fn the_outer_of_two_observers_of_calls_is_told_of_waits_too() {
    let statuses = Arc::new(Mutex::new(vec![200, 503, 429]));
    let (builder, outer) = observed(move |_| {
        let status = statuses.lock().unwrap().pop().unwrap_or(500);
        async move { Ok(answer(status, "")) }
    });
    let inner = Arc::new(Recorder::default());
    let layer = ObserveCallLayer::new(inner.clone());
    let pipeline = builder.layer_per_call(layer).build().unwrap();
    pipeline.send(request(Method::PUT, "x")).await.unwrap();
    assert_eq!(inner.waits().len(), 2);
    assert_eq!(outer.waits(), inner.waits());
    // Exchanges are told to whoever stands around them, and to nobody twice.
    assert_eq!((outer.attempts().len(), inner.attempts().len()), (3, 0));
}

#[cfg(feature = "_transport")]
#[tokio::test]
async fn the_outer_of_two_observers_of_exchanges_is_told_of_connections_too() {
    use acr_core::{Endpoint, Pipeline, Transport, TransportBuilder};
    use tower::Layer as _;

    use crate::network::{OK, Server, get};

    let server = Server::plain(OK).await;
    let [outer, inner] = [(); 2].map(|()| Arc::new(Recorder::default()));
    let transport = TransportBuilder::new().no_proxy().build().unwrap();
    let transport = Transport::new(ObserveExchangeLayer::new(inner.clone()).layer(transport));
    let endpoint = Endpoint::insecure_loopback("127.0.0.1:80".parse().unwrap()).unwrap();
    let builder = Pipeline::builder(endpoint).transport(transport);
    let pipeline = builder.observer(outer.clone()).build().unwrap();
    for _ in 0..2 {
        let answer = pipeline.send(get(&server.http())).await.unwrap();
        assert_eq!(answer.into_body().bytes(10).await.unwrap(), "ok");
    }
    use acr_core::layer::Connection::{Opened, Reused};
    assert_eq!(inner.connections(), [Opened, Reused]);
    assert_eq!(outer.connections(), [Opened, Reused]);
}

/// Bytes can be sent again whatever of ours stands around the transport, and count for each.
#[tokio::test(start_paused = true)]
async fn bytes_that_several_watch_and_count_can_still_be_sent_again() {
    use acr_core::{
        http::Request,
        layer::{BodyEnd, Direction, TimeoutLayer, Timeouts},
    };

    const LENGTH: usize = 200_000;
    let (builder, outer) = observed(|request: Request| async {
        let body = request.into_body();
        let again = body.try_clone().expect("bytes can be sent again");
        body.bytes(LENGTH).await?;
        assert_eq!(again.bytes(LENGTH).await?, vec![7; LENGTH]);
        Ok(answer(200, ""))
    });
    let inner = Arc::new(Recorder::default());
    let pipeline = builder
        .layer_per_hop(ObserveExchangeLayer::new(inner.clone()))
        .layer_per_hop(TimeoutLayer::new(Timeouts::default()))
        .build()
        .unwrap();
    pipeline.send(request(Method::PUT, vec![7; LENGTH])).await.unwrap();
    for told in [outer, inner] {
        let sent = told.transfers();
        assert!(sent.iter().all(|it| it.direction == Direction::Sent), "{sent:?}");
        assert_eq!(sent.iter().map(|it| it.bytes).sum::<u64>(), 2 * LENGTH as u64);
        let ends: Vec<_> = sent.iter().filter_map(|it| it.end).collect();
        assert_eq!(ends, [BodyEnd::Complete; 2]);
    }
}

/// Several of ours in one builder are one layer: nothing is erased between them.
#[tokio::test(start_paused = true)]
async fn bytes_stay_bytes_through_several_layers_of_one_builder() {
    use acr_core::{
        PipelineBuilder,
        http::Request,
        layer::{TimeoutLayer, Timeouts},
    };
    use http_body_util::BodyExt as _;
    use tower::ServiceBuilder;

    const LENGTH: usize = 200_000;
    type Add = Box<dyn FnOnce(PipelineBuilder) -> PipelineBuilder>;
    let told = Arc::new(Recorder::default());
    let [a, b, c, d, e] = [(); 5].map(|()| ObserveExchangeLayer::new(told.clone()));
    let time = || TimeoutLayer::new(Timeouts::default());
    let stack = ServiceBuilder::new;
    let stacks: [(u64, Add); 5] = [
        (2, Box::new(move |it| it.layer_per_hop(stack().layer(a.clone()).layer(a)))),
        (1, Box::new(move |it| it.layer_per_hop(stack().layer(time()).layer(b)))),
        (1, Box::new(move |it| it.layer_per_hop(stack().layer(c).layer(time())))),
        (0, Box::new(move |it| it.layer_per_hop(stack().layer(time()).layer(time())))),
        (
            2,
            Box::new(move |it| {
                let three = stack().layer(time()).layer(d).layer(time());
                it.layer_per_hop(three.layer(e))
            }),
        ),
    ];
    for (observers, add) in stacks {
        let (builder, _) = observed(|request: Request| async {
            let body = request.into_body();
            let mut again = body.try_clone().expect("bytes can be sent again");
            assert_eq!(again.frame().await.unwrap()?.into_data().unwrap().len(), PIECE);
            assert_eq!(body.bytes(LENGTH).await?, vec![7; LENGTH]);
            Ok(answer(200, "x"))
        });
        let before = told.transfers().len();
        let pipeline = add(builder).build().unwrap();
        pipeline.send(request(Method::PUT, vec![7; LENGTH])).await.unwrap();
        let bytes: u64 = told.transfers().iter().skip(before).map(|it| it.bytes).sum();
        // All of it, and a piece of the copy. Nobody reads the answer.
        assert_eq!(bytes, observers * (LENGTH + PIECE) as u64, "{observers}");
    }
}

/// What a transport is handed at once.
const PIECE: usize = 64 * 1024;
