// As `doctest.rs`, without async.
{
    use acr_client::{
        Credential, Descriptor, ImageIndex, ImageManifest, Platform, Result,
        blocking::{Registry, Repository},
    };

    struct Fake;

    impl Fake {
        fn run(self, example: impl FnOnce(Registry, Repository) -> Result<()>) {
            let fake = acr_testkit::FakeRegistry::builder()
                .user("me", "secret")
                .soft_delete(std::time::Duration::from_secs(7 * 24 * 3600))
                .build();
            let registry = acr_client::Registry::builder(fake.endpoint())
                .credential(Credential::password("me", "secret"))
                .transport(fake.transport())
                .build_blocking()
                .unwrap();
            let repo = registry.repository("library/app").unwrap();
            fill(&repo).unwrap();
            example(registry, repo).unwrap();
        }
    }

    fn fill(repo: &Repository) -> Result<()> {
        repo.upload("{}").run()?;
        let mut index = ImageIndex::new();
        for architecture in ["amd64", "arm64"] {
            let image = ImageManifest::artifact("application/vnd.example.app")
                .annotation("org.example.architecture", architecture)
                .to_json()?;
            repo.put_manifest(image.clone()).run()?;
            let entry = Descriptor::of("application/vnd.oci.image.manifest.v1+json", &image);
            index = index.manifest(entry.platform(Platform::new("linux", architecture)));
        }
        for tag in ["v1", "latest"] {
            repo.put_manifest(index.to_json()?).tag(tag).run()?;
        }
        Ok(())
    }

    Fake
}
