//! What the environment names is used or ends the chain: in a world where every other identity
//! would work, nobody is signed in as somebody else.

use std::ffi::OsString;

use acr_auth::entra::{
    AzureCliCredential, ChainedCredential, ClientSecretCredential, DefaultCredential, Environment,
    ManagedIdentity, ManagedIdentityCredential, SourceOptions, WorkloadIdentityCredential,
};
use acr_core::{Error, ErrorKind};
use acr_testkit::{FakeEntra, FakeIdentityService};

use crate::support::{Programs, az_answer, environment, is_unavailable, print, shown, token};

const T: (&str, &str) = ("AZURE_TENANT_ID", "t");
const C: (&str, &str) = ("AZURE_CLIENT_ID", "c");
const SECRET: (&str, &str) = ("AZURE_CLIENT_SECRET", "canary-secret");
const FILE: (&str, &str) = ("AZURE_FEDERATED_TOKEN_FILE", "/absent/canary");
const CERTIFICATE: (&str, &str) = ("AZURE_CLIENT_CERTIFICATE_PATH", "/canary.pem");
const USER: (&str, &str) = ("AZURE_USERNAME", "canary");
const ENDPOINT: (&str, &str) = ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/x");

type Variables = &'static [(&'static str, &'static str)];

/// `az` and the machine give tokens to everybody, and the authority to who has the secret.
struct World {
    programs: Programs,
    entra: FakeEntra,
    machine: FakeIdentityService,
}

impl World {
    fn new() -> Self {
        let programs = Programs::new();
        programs.add("az", &format!("touch \"$0.ran\"\n{}", print(&az_answer("the-developer"))));
        let entra = FakeEntra::builder().tenant("t").client_secret("c", "canary-secret");
        let machine = FakeIdentityService::imds().client_id("c").token("the-machine");
        Self {
            programs,
            entra: entra.token("the-application").in_process(),
            machine: machine.in_process(),
        }
    }

    fn options(&self, environment: Environment) -> SourceOptions {
        let cloud = acr_auth::entra::Cloud::custom(&self.entra.endpoint().to_string()).unwrap();
        SourceOptions::new()
            .environment(environment)
            .cloud(cloud)
            .transport(self.entra.transport())
            .identity_transport(self.machine.transport())
    }

    fn chain(&self, variables: &[(&str, &str)]) -> DefaultCredential {
        let mut all = vec![("PATH", self.programs.path())];
        all.extend(variables);
        DefaultCredential::configured(&self.options(environment(&all))).unwrap()
    }

    fn has_asked_nobody(&self) -> bool {
        !self.programs.file("az.ran").exists()
    }
}

/// What is set, what is named as the cause, and the remedy.
const WE_CANNOT_BE: &[(Variables, &str, &str)] = &[
    (&[T, C, CERTIFICATE], "AZURE_CLIENT_CERTIFICATE_PATH", "a certificate is not supported"),
    (
        &[T, C, CERTIFICATE, ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "canary")],
        "AZURE_CLIENT_CERTIFICATE_PATH",
        "set AZURE_CLIENT_SECRET",
    ),
    (
        &[T, C, CERTIFICATE, ("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "true"), FILE],
        "AZURE_CLIENT_CERTIFICATE_PATH",
        "AZURE_TOKEN_CREDENTIALS",
    ),
    (&[CERTIFICATE], "AZURE_CLIENT_CERTIFICATE_PATH", "not supported yet"),
    (&[("AZURE_CLIENT_CERTIFICATE_PASSWORD", "canary")], "CERTIFICATE_PASSWORD", "certificate"),
    (&[T, C, USER, ("AZURE_PASSWORD", "canary")], "AZURE_USERNAME", "a user name"),
    (&[USER], "AZURE_USERNAME", "not supported yet"),
    (&[("AZURE_PASSWORD", "canary")], "AZURE_PASSWORD", "not supported yet"),
    (&[SECRET], "AZURE_CLIENT_SECRET is set", "AZURE_TENANT_ID, AZURE_CLIENT_ID are not set"),
    (&[C, SECRET], "AZURE_CLIENT_SECRET is set", "AZURE_TENANT_ID is not set"),
    (&[T, SECRET, ("AZURE_CLIENT_ID", " ")], "AZURE_CLIENT_SECRET", "AZURE_CLIENT_ID is empty"),
    (&[T, SECRET, CERTIFICATE], "AZURE_CLIENT_SECRET", "AZURE_CLIENT_ID is not set"),
    (&[T, FILE], "AZURE_FEDERATED_TOKEN_FILE is set", "AZURE_CLIENT_ID is not set"),
    (&[FILE], "AZURE_FEDERATED_TOKEN_FILE is set", "are not set"),
    (&[T, C, FILE], "workload identity", "cannot be opened"),
    (
        &[T, C, FILE, ("AZURE_KUBERNETES_TOKEN_PROXY", "https://canary")],
        "AZURE_KUBERNETES_TOKEN_PROXY",
        "identity bindings is not supported yet",
    ),
    (&[T, C, ("AZURE_FEDERATED_TOKEN", "canary")], "AZURE_FEDERATED_TOKEN", "not supported"),
    (&[ENDPOINT, ("IMDS_ENDPOINT", "http://canary")], "Azure Arc", "not supported yet"),
    (&[ENDPOINT], "Azure Arc", "AZURE_TOKEN_CREDENTIALS"),
    (
        &[ENDPOINT, ("IDENTITY_HEADER", "canary"), ("IDENTITY_SERVER_THUMBPRINT", "canary")],
        "Azure Service Fabric",
        "not supported yet",
    ),
    (
        &[("MSI_ENDPOINT", "http://127.0.0.1:1/x"), ("MSI_SECRET", "canary")],
        "Azure Machine Learning",
        "not supported yet",
    ),
    (&[("IDENTITY_HEADER", "canary")], "IDENTITY_HEADER is set", "IDENTITY_ENDPOINT is not"),
    (
        &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://canary.example")],
        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
        "private address",
    ),
];

#[tokio::test]
async fn g1_whom_the_environment_names_and_we_cannot_be_ends_the_chain_with_words() {
    let world = World::new();
    for (variables, found, remedy) in WE_CANNOT_BE {
        let error = token(&world.chain(variables)).await.expect_err(found);
        let text = error.to_string();
        assert!(text.contains(found) && text.contains(remedy), "{variables:?}: {text}");
        assert!(!is_unavailable(&error), "{text}");
        let shown = shown(&error);
        assert!(!shown.contains("canary") || shown.contains("/absent/canary"), "{shown}");
        assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Credential);
        assert!(world.has_asked_nobody(), "{variables:?}");
    }
    assert_eq!((world.machine.calls(), world.entra.calls()), (0, 0));
}

#[tokio::test]
async fn g1_set_ups_that_work_go_on_to_work() {
    let cases: &[(Variables, &str)] = &[
        (&[], "the-machine"),
        (&[T, C, SECRET], "the-application"),
        // The secret comes first, as in the official libraries.
        (&[T, C, SECRET, CERTIFICATE, USER], "the-application"),
        // Tenant and client id alone: the machine's identity of this client id, or `az`.
        (&[T, C], "the-machine"),
        (&[T], "the-machine"),
        (&[("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "true")], "the-machine"),
        // Empty variables are those that a template left.
        (&[T, C, ("AZURE_CLIENT_SECRET", ""), ("AZURE_USERNAME", " ")], "the-machine"),
        (&[("AZURE_CLIENT_ID", ""), ("AZURE_FEDERATED_TOKEN_FILE", "")], "the-machine"),
        (&[("IDENTITY_ENDPOINT", ""), ("MSI_ENDPOINT", "")], "the-machine"),
        // In Cloud Shell `az` has the same identity.
        (&[("MSI_ENDPOINT", "http://127.0.0.1:1/x")], "the-developer"),
        // What every pipeline sets names nobody; a service connection is whom `az` has there.
        (&[("SYSTEM_OIDCREQUESTURI", "https://x")], "the-machine"),
        (
            &[("SYSTEM_OIDCREQUESTURI", "https://x"), ("AZURESUBSCRIPTION_CLIENT_ID", "x")],
            "the-developer",
        ),
        // Whoever is named by hand is not asked for what the others need.
        (&[T, C, CERTIFICATE, ("AZURE_TOKEN_CREDENTIALS", "dev")], "the-developer"),
        (&[C, USER, ("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")], "the-machine"),
        (
            &[
                ("SYSTEM_OIDCREQUESTURI", "https://x"),
                ("AZURESUBSCRIPTION_CLIENT_ID", "x"),
                ("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential"),
            ],
            "the-machine",
        ),
        (&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://169.254.169.254/")], "the-machine"),
    ];
    for (variables, expected) in cases {
        let world = World::new();
        let got = token(&world.chain(variables)).await;
        assert_eq!(got.unwrap_or_else(|error| error.to_string()), *expected, "{variables:?}");
    }
}

/// A value that is no Unicode is set all the same.
#[tokio::test]
async fn g1_a_value_that_cannot_be_read_is_not_taken_for_absent() {
    use std::os::unix::ffi::OsStringExt as _;

    let world = World::new();
    for name in ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"] {
        let path = OsString::from(world.programs.path());
        let lookup = move |wanted: &str| match wanted {
            "PATH" => Some(path.clone()),
            _ if wanted == name => Some(OsString::from_vec(b"cana\xffry".to_vec())),
            _ => None,
        };
        let options = world.options(Environment::from_fn(lookup));
        let error = token(&DefaultCredential::configured(&options).unwrap()).await.unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert!(!is_unavailable(&error) && world.has_asked_nobody(), "{name}: {error}");
    }
}

/// The same for chains of one's own, from the constructors that read the environment.
#[tokio::test]
async fn g1_sources_from_the_environment_say_whom_they_cannot_be() {
    let world = World::new();
    for (variables, is_secret) in [
        (&[T, C, CERTIFICATE][..], true),
        (&[T, SECRET], true),
        (&[USER], true),
        (&[T, FILE], false),
        (&[T, C, FILE, ("AZURE_KUBERNETES_TOKEN_PROXY", "https://x")], false),
    ] {
        let options = world.options(environment(variables));
        let error = if is_secret {
            ClientSecretCredential::from_env(&options).unwrap_err()
        } else {
            WorkloadIdentityCredential::from_env(&options).unwrap_err()
        };
        assert_eq!(error.kind(), ErrorKind::Credential);
        assert!(!is_unavailable(&error.into()), "{variables:?}");
    }
    // A platform that is not supported ends them, too.
    let variables = [("PATH", world.programs.path()), ENDPOINT];
    let options = world.options(environment(&variables));
    let machine = ManagedIdentityCredential::configured(ManagedIdentity::default(), &options);
    let chain = ChainedCredential::new()
        .link("machine", machine.unwrap())
        .link("az", AzureCliCredential::configured(&options));
    let error = token(&chain).await.unwrap_err();
    assert!(error.to_string().contains("Azure Arc is not supported yet"), "{error}");
    assert!(world.has_asked_nobody());
}

#[test]
fn g1_what_is_wrong_in_a_variable_is_told_with_its_name() {
    let world = World::new();
    let named = |variables: &[(&str, &str)]| {
        let options = world.options(environment(variables));
        let error = DefaultCredential::configured(&options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.to_string()
    };
    let tenant = ("AZURE_TENANT_ID", "a/b");
    let text = "AZURE_TENANT_ID is set, but `a/b` is not a tenant's id or domain name";
    assert_eq!(named(&[tenant, C, SECRET]), text);
    assert_eq!(named(&[tenant, C, FILE]), text);
    let text = named(&[T, C, ("AZURE_CLIENT_SECRET", "canary\nsecret")]);
    assert!(text.contains("AZURE_CLIENT_SECRET") && !text.contains("canary"), "{text}");
}
