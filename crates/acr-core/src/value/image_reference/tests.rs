use proptest::prelude::*;

use super::*;

const SHA: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn strict(text: &str) -> Result<ImageReference, ParseImageReferenceError> {
    text.parse()
}

#[test]
fn what_names_its_registry_is_read_part_by_part() {
    let pinned = format!("r.azurecr.io/a/b:v1@{SHA}");
    let by_digest = format!("localhost:5000/a@{SHA}");
    for (text, registry, host, port, repository, tag, digest) in [
        ("r.azurecr.io/a", "r.azurecr.io", "r.azurecr.io", None, "a", None, None),
        (&pinned, "r.azurecr.io", "r.azurecr.io", None, "a/b", Some("v1"), Some(SHA)),
        (&by_digest, "localhost:5000", "localhost", Some(5000), "a", None, Some(SHA)),
        ("localhost/a:B.c", "localhost", "localhost", None, "a", Some("B.c"), None),
        ("registry:5000/a", "registry:5000", "registry", Some(5000), "a", None, None),
        ("10.0.0.1/a:1", "10.0.0.1", "10.0.0.1", None, "a", Some("1"), None),
        ("[::1]/a", "[::1]", "[::1]", None, "a", None, None),
        ("[::1]:5000/a:5", "[::1]:5000", "[::1]", Some(5000), "a", Some("5"), None),
        (
            "xn--n3h.com/a:xn--n3h.com",
            "xn--n3h.com",
            "xn--n3h.com",
            None,
            "a",
            Some("xn--n3h.com"),
            None,
        ),
        ("docker.io/library/a", "docker.io", "docker.io", None, "library/a", None, None),
    ] {
        let image = strict(text).unwrap();
        assert_eq!(
            (image.registry(), image.host(), image.port()),
            (registry, host, port),
            "{text}"
        );
        assert_eq!(image.repository(), repository);
        assert_eq!(image.tag().map(Tag::as_str), tag);
        assert_eq!(image.digest().map(Digest::as_str), digest);
        assert_eq!(image, text);
        let asked = digest.or(tag);
        assert_eq!(image.reference().as_ref().map(Reference::as_str), asked, "{text}");
    }
}

#[test]
fn a_host_has_one_form() {
    for (text, kept) in [
        ("R.AzureCR.io/a", "r.azurecr.io/a"),
        ("LOCALHOST/a", "localhost/a"),
        ("[2001:DB8:0:0:0:0:0:1]:443/a", "[2001:db8::1]:443/a"),
        ("[::ffff:10.0.0.1]/a", "[::ffff:10.0.0.1]/a"),
        ("Registry:5000/a", "registry:5000/a"),
    ] {
        assert_eq!(strict(text).unwrap(), kept);
    }
}

#[test]
fn what_is_refused_is_told_what_to_write() {
    let unknown = format!("r.io/a@blake3:{}", "0".repeat(64));
    let short = "r.io/a@sha256:abc";
    let long = format!("r.io/{}", "a".repeat(256));
    for (text, words) in [
        ("", "names no registry"),
        ("alpine", "`docker.io/library/alpine`"),
        ("alpine:3.22", "`docker.io/library/alpine`"),
        ("user/app", "`docker.io/user/app`"),
        ("user/app", "`myregistry.azurecr.io/user/app`"),
        ("Foo/app", "names no registry"),
        ("localhost:5000", "names no registry"),
        ("docker.io/alpine", "`docker.io/library/alpine`: write that"),
        ("index.docker.io/library/alpine", "`docker.io/library/alpine`: write that"),
        ("https://r.io/a", "leave out `https://`"),
        ("docker://r.io/a", "leave out `docker://`"),
        ("r.io/", "not a repository name"),
        ("r.io/A", "not a repository name"),
        ("r.io/a//b", "not a repository name"),
        ("r.io//a", "not a repository name"),
        ("/a", "names no registry"),
        ("r.io/a:", "is not a tag"),
        ("r.io/a:-x", "is not a tag"),
        ("r.io/a:b:c", "is not a tag"),
        ("r.io/a@", "not a sha256 or sha512 digest"),
        (short, "not a sha256 or sha512 digest"),
        (&unknown, "unsupported algorithm"),
        (&long, "not a repository name"),
        ("r.io:0/a", "port"),
        ("r.io:65536/a", "port"),
        ("r.io:080/a", "port"),
        ("r.io:+80/a", "port"),
        ("r.io:/a", "port"),
        ("::1/a", "in brackets"),
        ("[::1/a", "in brackets"),
        ("[::1]x/a", "after the brackets"),
        ("[fe80::1%eth0]/a", "no IPv6 address"),
        ("[10.0.0.1]/a", "no IPv6 address"),
        ("127.1/a", "its host"),
        ("0x7f.0.0.1/a", "its host"),
        ("r.io./a", "its host"),
        (".io/a", "its host"),
        ("r..io/a", "its host"),
        ("-r.io/a", "its host"),
        ("r_x.io/a", "its host"),
        ("r\u{e9}.io/a", "its host"),
        ("r.io /a", "its host"),
        (" r.io/a", "its host"),
        ("r.io/a\n", "not a repository name"),
    ] {
        let error = strict(text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn what_may_be_a_password_is_not_repeated() {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let pinned = |named: &str| format!("{named}@{digest}");
    let pinned = [
        pinned("https://user:canary@r.io/a"),
        pinned("https://user:canary@r.io:5000/a"),
        pinned("user:canary@r.io/a"),
        pinned("user:canary@r.io/a:v1"),
        pinned("user:canary@r.io"),
        pinned("user:canary@x@y"),
        format!("user:canary@r.io/a:{}", "0123456789abcdef".repeat(4)),
    ];
    let unpinned = [
        "user:canary@r.io/a:v1",
        "https://user:canary@r.io/a",
        "https://user:canary@myregistry.azurecr.io",
        "user:canary@r.io",
        "user:canary@localhost:5000",
        "canary@x@y",
    ];
    for text in pinned.iter().map(String::as_str).chain(unpinned) {
        for read in [strict(text), ImageReference::parse_docker(text)] {
            let error = format!("{0} {0:?}", read.unwrap_err());
            assert!(error.contains("user information") && !error.contains("canary"), "{error}");
        }
    }
}

#[test]
fn dockers_short_forms_are_read_by_choice() {
    let id = "0123456789abcdef".repeat(4);
    for (text, meant) in [
        ("alpine", Some("docker.io/library/alpine")),
        ("alpine:3.22", Some("docker.io/library/alpine:3.22")),
        ("user/app", Some("docker.io/user/app")),
        ("a/b/c", Some("docker.io/a/b/c")),
        ("localhost/app", Some("localhost/app")),
        ("docker.io/alpine", Some("docker.io/library/alpine")),
        ("index.docker.io/alpine:1", Some("docker.io/library/alpine:1")),
        ("Docker.io/user/app", Some("docker.io/user/app")),
        ("quay.io/app", Some("quay.io/app")),
        ("localhost:5000", Some("docker.io/library/localhost:5000")),
        ("Foo/app", None),
        ("Alpine", None),
        (&id, None),
        ("", None),
        ("user/", None),
    ] {
        let read = ImageReference::parse_docker(text);
        assert_eq!(read.as_ref().ok().map(ToString::to_string).as_deref(), meant, "{text}");
    }
    let hub = ImageReference::parse_docker("alpine").unwrap();
    assert_eq!(hub.endpoint().unwrap().authority(), "registry-1.docker.io");
    assert_eq!(strict("[::1]:5000/a").unwrap().endpoint().unwrap().port(), 5000);
}

#[test]
fn a_new_tag_drops_the_digest_and_a_digest_keeps_the_tag() {
    let image = strict(&format!("r.io/a:v1@{SHA}")).unwrap();
    assert_eq!(image.clone().with_tag(&"v2".parse().unwrap()), "r.io/a:v2");
    let digest = Digest::sha256(b"x");
    assert_eq!(image.with_digest(&digest).to_string(), format!("r.io/a:v1@{digest}"));
}

#[test]
fn json_is_the_text() {
    let image = strict("r.io/a:v1").unwrap();
    let json = serde_json::to_string(&image).unwrap();
    assert_eq!(json, r#""r.io/a:v1""#);
    assert_eq!(serde_json::from_str::<ImageReference>(&json).unwrap(), image);
    assert!(serde_json::from_str::<ImageReference>(r#""alpine""#).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_what_is_printed_is_read(text in "(\\PC|[\\[\\]:@./]){0,60}") {
        for image in [strict(&text), ImageReference::parse_docker(&text)].into_iter().flatten() {
            prop_assert_eq!(strict(&image.to_string()), Ok(image));
        }
    }

    #[test]
    fn a_text_has_one_meaning(
        host in "([a-zA-Z0-9]{1,6}\\.[a-z]{2,4}|localhost|\\[::[0-9a-f]{1,3}\\]|[a-z]{1,4})(:[0-9]{1,6})?",
        path in "[a-z0-9]{1,5}(/[a-z0-9._-]{1,5}){0,2}",
        rest in "(:[a-zA-Z0-9._-]{1,5})?(@sha256:[0-9a-f]{64})?",
    ) {
        let text = format!("{host}/{path}{rest}");
        // Whatever strict parsing takes, Docker's rules take for the same.
        if let Ok(image) = strict(&text) {
            prop_assert_eq!(ImageReference::parse_docker(&text), Ok(image.clone()));
            prop_assert_eq!(image.to_string(), text.replacen(&host, image.registry(), 1));
        }
    }
}

#[test]
fn what_is_made_of_parts_is_what_its_text_is() {
    let name: RepositoryName = "library/app".parse().unwrap();
    for (registry, kept) in [
        ("r.azurecr.io", "r.azurecr.io"),
        ("R.AzureCR.io:443", "r.azurecr.io:443"),
        ("localhost", "localhost"),
        ("[::1]:5000", "[::1]:5000"),
        ("docker.io", "docker.io"),
    ] {
        let image = ImageReference::new(registry, &name).unwrap();
        assert_eq!((image.registry(), image.repository()), (kept, &name));
        assert_eq!(strict(&image.to_string()).unwrap(), image);
        let text = String::from("library/app");
        assert_eq!(ImageReference::new(registry, &text).unwrap(), image);
    }
    for (registry, said) in [
        ("", "no registry"),
        ("r", "`r:443`"),
        ("my_registry", "without `_` or a dot at the end, with a dot within or a port"),
        ("https://r.azurecr.io", "without a scheme"),
        ("r.azurecr.io/a", "without a scheme or path"),
        ("r.azurecr.io/a_b", "without a scheme or path"),
        ("r.azurecr.io:0", "port"),
        ("r_r.azurecr.io", "without `_`"),
        ("r.azurecr.io.", "a dot at the end"),
        ("index.docker.io", "Docker takes it"),
        ("user:canary@r.azurecr.io", "user information"),
    ] {
        let error = ImageReference::new(registry, "a").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(text.contains(said) && !text.contains("canary"), "{registry}: {text}");
    }
    let endpoint: Endpoint = "https://registry".parse().unwrap();
    assert!(ImageReference::new(endpoint.authority(), "a").is_err());
    let image = ImageReference::new("registry:443", "a").unwrap();
    assert_eq!(image.endpoint().unwrap(), endpoint, "as the error says");
    assert!(ImageReference::new("r.azurecr.io", "No Name").is_err());
    assert!(ImageReference::new("docker.io", "alpine").is_err(), "Docker reads another name");
}

#[test]
fn a_tag_comes_off_and_owned_text_is_borrowed() {
    let text = format!("r.azurecr.io/a:v1@{SHA}");
    let image = ImageReference::try_from(&text).unwrap();
    assert_eq!(image.clone().without_tag(), format!("r.azurecr.io/a@{SHA}").as_str());
    assert_eq!(image.with_tag(&"v2".parse().unwrap()).without_tag(), "r.azurecr.io/a");
    let tag = String::from("v1");
    assert_eq!(Reference::try_from(&tag).unwrap(), "v1");
    let given: crate::value::Given<Reference> = crate::value::Given::new(&tag);
    assert_eq!(given.get().unwrap(), "v1");
}
