// What the examples in the documentation run on: a registry of their own, in this process, with
// one repository. Its tags `v1` and `latest` stand for an index of two images, and it has the
// blob `{}`.
{
    use acr_client::{
        Credential, Descriptor, ImageIndex, ImageManifest, Platform, Registry, Repository, Result,
    };

    struct Fake;

    impl Fake {
        fn run(self, example: impl AsyncFnOnce(Registry, Repository) -> Result<()>) {
            let fake = acr_testkit::FakeRegistry::builder()
                .user("me", "secret")
                .soft_delete(std::time::Duration::from_secs(7 * 24 * 3600))
                .build();
            let registry = Registry::builder(fake.endpoint())
                .credential(Credential::password("me", "secret"))
                .transport(fake.transport())
                .build()
                .unwrap();
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(async {
                let repo = registry.repository("library/app").unwrap();
                fill(&repo).await.unwrap();
                example(registry, repo).await.unwrap();
            });
        }
    }

    async fn fill(repo: &Repository) -> Result<()> {
        repo.upload("{}").await?;
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
            repo.put_manifest(index.to_json()?).tag(tag).await?;
        }
        Ok(())
    }

    Fake
}
