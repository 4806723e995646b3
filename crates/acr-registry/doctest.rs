// What the examples in the documentation run on: a registry of their own, in this process, with
// one repository. Its tags `v1` and `latest` stand for an index of two images.
{
    use acr_auth::{AuthLayer, Credential};
    use acr_core::{
        Action, Digest, Endpoint, Pipeline, Result, Scope, Tag,
        http::{Effect, RequestBuilder, response},
    };
    use acr_registry::{
        Descriptor, ImageIndex, ImageManifest, Platform, RegistryClient, RepositoryClient,
    };
    use acr_testkit::FakeRegistry;

    struct Fake;

    impl Fake {
        fn run(self, example: impl AsyncFnOnce(RegistryClient, RepositoryClient) -> Result<()>) {
            let fake = FakeRegistry::builder()
                .user("me", "secret")
                .soft_delete(std::time::Duration::from_secs(7 * 24 * 3600))
                .build();
            let endpoint: Endpoint = fake.endpoint();
            let auth = AuthLayer::new(&endpoint, Credential::password("me", "secret"));
            let pipeline = Pipeline::builder(endpoint).transport(fake.transport());
            let pipeline = pipeline.layer_per_hop(auth).build().unwrap();
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                let registry = RegistryClient::new(pipeline.clone());
                let repo = registry.repository("library/app").unwrap();
                fill(&pipeline, &repo).await.unwrap();
                example(registry, repo).await.unwrap();
            });
        }
    }

    async fn fill(pipeline: &Pipeline, repo: &RepositoryClient) -> Result<()> {
        let (name, config) = (repo.repository(), "{}");
        let path = ["v2", name.as_str(), "blobs", "uploads", ""];
        let upload = RequestBuilder::new(http::Method::POST, pipeline.endpoint(), &path)
            .query("digest", Digest::sha256(config.as_bytes()))
            .scope(Scope::repository(name, &[Action::PULL, Action::PUSH]))
            .effect(Effect::Set)
            .body(config)
            .build()?;
        response::expect(pipeline.send(upload).await?, &[http::StatusCode::CREATED]).await?;

        let mut index = ImageIndex::new();
        for architecture in ["amd64", "arm64"] {
            let image = ImageManifest::artifact("application/vnd.example.app")
                .annotation("org.example.architecture", architecture)
                .to_json()?;
            repo.put_manifest(image.clone()).await?;
            let entry = Descriptor::of("application/vnd.oci.image.manifest.v1+json", &image);
            index = index.manifest(entry.platform(Platform::new("linux", architecture)));
        }
        for tag in ["v1", "latest"] {
            repo.put_manifest(index.to_json()?).tag(&tag.parse::<Tag>()?).await?;
        }
        Ok(())
    }

    Fake
}
