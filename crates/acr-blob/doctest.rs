// What the examples in the documentation run on: a registry of their own, in this process, whose
// repository `library/app` has one blob, "sample layer"; `library/base` has it too.
{
    use acr_auth::{AuthLayer, Credential};
    use acr_blob::BlobClient;
    use acr_core::{Digest, Endpoint, Pipeline, http::BoxError};
    use acr_testkit::FakeRegistry;

    struct Fake;

    impl Fake {
        fn run(self, example: impl AsyncFnOnce(BlobClient, Digest) -> Result<(), BoxError>) {
            let fake = FakeRegistry::builder().user("me", "secret").build();
            let endpoint: Endpoint = fake.endpoint();
            let auth = AuthLayer::new(&endpoint, Credential::password("me", "secret"));
            let pipeline = Pipeline::builder(endpoint).transport(fake.transport());
            let pipeline = pipeline.layer_per_hop(auth).build().unwrap();
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                let at = |name: &str| BlobClient::new(pipeline.clone(), name.parse().unwrap());
                at("library/base").upload("sample layer").await.unwrap();
                let layer = at("library/app").upload("sample layer").await.unwrap();
                example(at("library/app"), layer.digest).await.unwrap();
            });
        }
    }

    Fake
}
