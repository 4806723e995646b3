//! What a source is asked for.

use acr_core::ErrorKind;

use super::{failure::Failure, foreign_text::printable};

/// The one scope that a source can fetch at a time.
///
/// Checked before it becomes an argument of a program: nothing that starts as an option
/// does, and nothing a command processor could read as its own.
pub(crate) fn single<'a>(scopes: &[&'a str]) -> Result<&'a str, Failure> {
    let &[scope] = scopes else {
        let text = format!("this source fetches one scope at a time, not {}", scopes.len());
        return Err(Failure::new(ErrorKind::InvalidInput, text));
    };
    let starts_well = scope.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'/');
    if !starts_well || !scope.bytes().all(is_plain) {
        let text = format!("`{}` is not an Entra scope", printable(scope, 100));
        return Err(Failure::new(ErrorKind::InvalidInput, text));
    }
    Ok(scope)
}

/// The same as the older interfaces have it: the resource, without `/.default`.
pub(crate) fn resource<'a>(scopes: &[&'a str]) -> Result<&'a str, Failure> {
    let scope = single(scopes)?;
    Ok(scope.strip_suffix("/.default").unwrap_or(scope))
}

/// A tenant as a path segment or an argument: an id or a domain name.
pub(crate) fn check_tenant(tenant: &str) -> Result<(), Failure> {
    check_tenant_of(tenant, "")
}

/// The same; the error begins with where the tenant was found, such as a variable.
pub(crate) fn check_tenant_of(tenant: &str, place: &str) -> Result<(), Failure> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let starts_well = tenant.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && tenant.bytes().all(is_plain) {
        return Ok(());
    }
    let text = format!("{place}`{}` is not a tenant's id or domain name", printable(tenant, 100));
    Err(Failure::new(ErrorKind::InvalidInput, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_plain_scope_becomes_an_argument() {
        let good = "https://containerregistry.azure.net/.default";
        assert_eq!(single(&[good]).unwrap(), good);
        assert_eq!(resource(&[good]).unwrap(), "https://containerregistry.azure.net");
        assert_eq!(resource(&["api://x/y"]).unwrap(), "api://x/y");
        for bad in [
            "", "--help", "-o", "a b", "a;b", "a&b", "a|b", "$(a)", "`a`", "a\"b", "a%b", "a\nb",
            "é",
        ] {
            assert!(single(&[bad]).is_err(), "{bad}");
        }
        assert!(single(&[]).is_err() && single(&[good, good]).is_err());
    }

    #[test]
    fn a_tenant_never_leaves_its_place() {
        for good in ["common", "contoso.onmicrosoft.com", "00000000-1111-2222-3333-444444444444"] {
            assert!(check_tenant(good).is_ok());
        }
        for bad in ["", ".", "..", "../x", "a/b", "-x", "a b", "a?b", "a%2fb", "é"] {
            assert!(check_tenant(bad).is_err(), "{bad}");
        }
    }
}
