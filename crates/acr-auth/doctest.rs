// What the examples in the documentation run on: a registry of their own, in this process, with
// the user `me`, and a pipeline to it without sign-in.
{
    use acr_core::{Pipeline, http::BoxError};
    use acr_testkit::FakeRegistry;

    struct Fake;

    impl Fake {
        fn run(self, example: impl AsyncFnOnce(FakeRegistry, Pipeline) -> Result<(), BoxError>) {
            let registry = FakeRegistry::builder().user("me", "secret").build();
            let pipeline = Pipeline::builder(registry.endpoint()).transport(registry.transport());
            let pipeline = pipeline.build().unwrap();
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                example(registry, pipeline).await.unwrap();
            });
        }
    }

    Fake
}
