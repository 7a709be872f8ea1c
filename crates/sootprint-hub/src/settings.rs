//! The address of the Hub and the token, resolved as in Hugging Face's Python client.
//!
//! hf-hub 1.0.0 reads the same variables by other rules: it does not trim a token, takes
//! `HF_HUB_DISABLE_IMPLICIT_TOKEN=0` for true and ignores `HF_HUB_OFFLINE`. It therefore always gets explicit values.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::PushError;
use crate::token::{HubToken, TokenError};

/// The public Hub.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// Each of them forbids network access.
const OFFLINE_VARIABLES: [&str; 2] = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];

/// Variables that contain a token, in order of precedence.
const TOKEN_VARIABLES: [&str; 2] = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];

/// Forbids looking for a token that was not given explicitly.
const NO_IMPLICIT_TOKEN: &str = "HF_HUB_DISABLE_IMPLICIT_TOKEN";

/// Resolved settings for requests to the Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HubSettings {
    /// Without a trailing slash.
    pub(crate) endpoint: String,
    pub(crate) token: HubToken,
    /// The cache folder of Hugging Face's tools.
    pub(crate) cache_dir: PathBuf,
    /// The cache folder of the storage client.
    pub(crate) xet_cache_dir: PathBuf,
}

/// Settings of the caller, which take precedence over the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ExplicitSettings {
    pub(crate) endpoint: Option<String>,
    pub(crate) token: Option<HubToken>,
}

/// Looks up an environment variable.
type HubEnvLookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl HubSettings {
    /// Resolves the settings. Environment and files are arguments, so that tests need neither.
    pub(crate) fn resolve(
        explicit: ExplicitSettings,
        variable: HubEnvLookup<'_>,
        read_file: &dyn Fn(&Path) -> io::Result<String>,
    ) -> Result<Self, PushError> {
        let variable: HubEnvLookup<'_> = &|name| variable(name).filter(|value| !value.trim().is_empty());
        if let Some(name) = OFFLINE_VARIABLES.into_iter().find(|name| is_truthy(variable, name)) {
            return Err(PushError::Offline { variable: name });
        }
        let home = hf_home(variable);
        let token = match explicit.token {
            Some(token) => token,
            None if is_truthy(variable, NO_IMPLICIT_TOKEN) => return Err(PushError::ImplicitTokenDisabled),
            None => find_token(variable, read_file, &home)?.ok_or(PushError::NoToken)?,
        };
        Ok(Self {
            endpoint: resolve_endpoint(explicit.endpoint.or_else(|| variable("HF_ENDPOINT")))?,
            token,
            cache_dir: home.join("hub"),
            xet_cache_dir: variable("HF_XET_CACHE")
                .map_or_else(|| home.join("xet"), |path| expand_path(&path, variable)),
        })
    }
}

/// Returns where a push would find its token: the name of an environment variable, or the description of a file. The
/// token itself is not returned.
///
/// # Errors
/// [`PushError::NoToken`] if there is no token, or the error that a push would return.
pub fn token_origin() -> Result<&'static str, PushError> {
    token_origin_from(&|name| std::env::var(name).ok(), &|path| std::fs::read_to_string(path))
}

fn token_origin_from(
    variable: HubEnvLookup<'_>,
    read_file: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<&'static str, PushError> {
    let variable: HubEnvLookup<'_> = &|name| variable(name).filter(|value| !value.trim().is_empty());
    if is_truthy(variable, NO_IMPLICIT_TOKEN) {
        return Err(PushError::ImplicitTokenDisabled);
    }
    find_token(variable, read_file, &hf_home(variable))?.ok_or(PushError::NoToken)?;
    let file = match variable("HF_TOKEN_PATH") {
        Some(_) => "the file that HF_TOKEN_PATH names",
        None => "the file written by `hf auth login`",
    };
    Ok(TOKEN_VARIABLES.into_iter().find(|name| variable(name).is_some()).unwrap_or(file))
}

fn find_token(
    variable: HubEnvLookup<'_>,
    read_file: &dyn Fn(&Path) -> io::Result<String>,
    home: &Path,
) -> Result<Option<HubToken>, PushError> {
    for name in TOKEN_VARIABLES {
        if let Some(text) = variable(name) {
            return parse_token(&text);
        }
    }
    let path =
        variable("HF_TOKEN_PATH").map_or_else(|| home.join("token"), |path| expand_path(&path, variable));
    match read_file(&path) {
        Ok(text) => parse_token(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PushError::UnreadableTokenFile { path, source }),
    }
}

fn parse_token(text: &str) -> Result<Option<HubToken>, PushError> {
    match HubToken::new(text) {
        Ok(token) => Ok(Some(token)),
        Err(TokenError::Empty) => Ok(None),
        Err(error) => Err(PushError::InvalidToken(error)),
    }
}

/// Validates the prefix of all URLs.
///
/// A user name and password would appear in messages; without a scheme, `localhost:8080` would parse as a URL with the
/// scheme `localhost`.
fn resolve_endpoint(input: Option<String>) -> Result<String, PushError> {
    let given = input.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
    let endpoint = given.trim().trim_end_matches('/');
    let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['@', '?', '#', ' ']) => Ok(endpoint.to_owned()),
        _ => {
            let shown = given.rsplit('@').next().unwrap_or_default();
            Err(PushError::InvalidEndpoint { endpoint: shown.to_owned() })
        }
    }
}

/// The home folder of Hugging Face's tools.
fn hf_home(variable: HubEnvLookup<'_>) -> PathBuf {
    match (variable("HF_HOME"), variable("XDG_CACHE_HOME")) {
        (Some(home), _) => expand_path(&home, variable),
        (None, Some(cache)) => expand_path(&cache, variable).join("huggingface"),
        (None, None) => expand_path("~/.cache/huggingface", variable),
    }
}

/// Expands `~`, `$NAME` and `${NAME}` in a path. An unknown variable is left as it is.
fn expand_path(path: &str, variable: HubEnvLookup<'_>) -> PathBuf {
    let user = variable("HOME").or_else(|| variable("USERPROFILE"));
    let mut rest = path;
    let mut expanded = String::new();
    if let (Some(behind), Some(user)) = (path.strip_prefix('~'), user)
        && (behind.is_empty() || behind.starts_with(['/', '\\']))
    {
        expanded.push_str(&user);
        rest = behind;
    }
    while let Some((before, behind)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, after) = split_variable_name(behind);
        match variable(name) {
            Some(value) => expanded.push_str(&value),
            None => expanded.push_str(&rest[before.len()..rest.len() - after.len()]),
        }
        rest = after;
    }
    expanded.push_str(rest);
    expanded.into()
}

/// Splits the text after a dollar sign into the name and the rest.
fn split_variable_name(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
        return (name, after);
    }
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split_at(text.find(|letter| !is_name(letter)).unwrap_or(text.len()))
}

/// Whether a variable is true by the rules of the Python client.
fn is_truthy(variable: HubEnvLookup<'_>, name: &str) -> bool {
    let value = variable(name).map(|value| value.to_ascii_uppercase());
    matches!(value.as_deref(), Some("1" | "ON" | "YES" | "TRUE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type VariablePairs<'a> = &'a [(&'a str, &'a str)];

    /// The settings of these variables and files.
    fn resolve_settings(
        given: ExplicitSettings,
        variables: VariablePairs<'_>,
        files: VariablePairs<'_>,
    ) -> Result<HubSettings, PushError> {
        let find = |pairs: VariablePairs<'_>, name: &str| {
            pairs.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned())
        };
        let read = |path: &Path| {
            let path = path.to_str().unwrap();
            find(files, path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        };
        HubSettings::resolve(given, &|name| find(variables, name), &read)
    }

    /// The token that is found, or `-`.
    fn resolve_token(variables: VariablePairs<'_>, files: VariablePairs<'_>) -> String {
        match resolve_settings(ExplicitSettings::default(), variables, files) {
            Ok(settings) => settings.token.expose().to_owned(),
            Err(PushError::NoToken) => "-".to_owned(),
            Err(other) => other.to_string(),
        }
    }

    /// Expected values: `huggingface_hub.get_token()` in the same environment.
    #[test]
    fn token_lookup_matches_python_client() {
        let home = ("HOME", "/u");
        let file = ("/u/.cache/huggingface/token", "hf_file\n");
        let cases: &[(VariablePairs<'_>, VariablePairs<'_>, &str)] = &[
            (&[home], &[], "-"),
            (&[home], &[file], "hf_file"),
            (&[home, ("HF_TOKEN", "hf_1"), ("HUGGING_FACE_HUB_TOKEN", "hf_2")], &[file], "hf_1"),
            (&[home, ("HUGGING_FACE_HUB_TOKEN", "hf_2")], &[file], "hf_2"),
            (&[home, ("HF_TOKEN", " hf_1\r\n")], &[], "hf_1"),
            (&[home, ("HF_TOKEN", "hf_\n1")], &[], "hf_1"),
            (&[home, ("HF_TOKEN", " \n"), ("HUGGING_FACE_HUB_TOKEN", "")], &[file], "hf_file"),
            (&[home, ("HF_TOKEN_PATH", "/t")], &[file, ("/t", "hf_t")], "hf_t"),
            (&[home, ("HF_TOKEN_PATH", "/nowhere")], &[file], "-"),
            (&[home, ("HF_TOKEN_PATH", "/empty")], &[file, ("/empty", "\n")], "-"),
            (&[home, ("HF_TOKEN_PATH", "~/t")], &[("/u/t", "hf_t")], "hf_t"),
            (&[home, ("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/x")], &[file, ("/h/token", "hf_h")], "hf_h"),
            (&[home, ("HF_HOME", "$HOME/${H}s/$N"), ("H", "h")], &[("/u/hs/$N/token", "hf_h")], "hf_h"),
            (&[home, ("XDG_CACHE_HOME", "/x")], &[file, ("/x/huggingface/token", "hf_x")], "hf_x"),
            (&[home, ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "0")], &[file], "hf_file"),
            (&[home, ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "")], &[file], "hf_file"),
        ];
        for (variables, files, expected) in cases {
            assert_eq!(resolve_token(variables, files), *expected, "{variables:?} {files:?}");
        }
    }

    #[test]
    fn token_origin_hides_token() {
        let origin = |variables: VariablePairs<'_>, has_file: bool| {
            let variable = |name: &str| {
                variables.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned())
            };
            let read = |_: &Path| match has_file {
                true => Ok("hf_file".to_owned()),
                false => Err(io::Error::from(io::ErrorKind::NotFound)),
            };
            token_origin_from(&variable, &read).map_err(|error| error.to_string())
        };
        assert_eq!(origin(&[("HF_TOKEN", "hf_1")], true), Ok("HF_TOKEN"));
        assert_eq!(
            origin(&[("HF_TOKEN", " "), ("HUGGING_FACE_HUB_TOKEN", "hf_2")], true),
            Ok("HUGGING_FACE_HUB_TOKEN")
        );
        assert_eq!(origin(&[("HF_TOKEN_PATH", "/t")], true), Ok("the file that HF_TOKEN_PATH names"));
        assert_eq!(origin(&[], true), Ok("the file written by `hf auth login`"));
        assert_eq!(origin(&[], false), Err(PushError::NoToken.to_string()));
        let forbidden = origin(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"), ("HF_TOKEN", "hf_1")], true);
        assert_eq!(forbidden, Err(PushError::ImplicitTokenDisabled.to_string()));
    }

    #[test]
    fn explicit_token_takes_precedence() {
        let given = ExplicitSettings {
            token: Some(HubToken::new("hf_given").unwrap()),
            ..ExplicitSettings::default()
        };
        let variables = [("HF_TOKEN", "hf_1"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "yes")];
        let settings = resolve_settings(given, &variables, &[]).unwrap();
        assert_eq!(settings.token.expose(), "hf_given");
    }

    #[test]
    fn disabled_implicit_token_is_an_error() {
        for yes in ["1", "true", "Yes", "ON"] {
            let variables = [("HF_HUB_DISABLE_IMPLICIT_TOKEN", yes), ("HF_TOKEN", "hf_1")];
            let error = resolve_settings(ExplicitSettings::default(), &variables, &[]).unwrap_err();
            assert!(matches!(error, PushError::ImplicitTokenDisabled), "{error}");
        }
    }

    #[test]
    fn unreadable_token_file_is_an_error() {
        let read = |_: &Path| Err(io::Error::from(io::ErrorKind::PermissionDenied));
        let error = HubSettings::resolve(ExplicitSettings::default(), &|_| None, &read).unwrap_err();
        assert!(matches!(error, PushError::UnreadableTokenFile { .. }), "{error}");
    }

    #[test]
    fn endpoint_matches_python_without_trailing_slash() {
        let cases: &[(Option<&str>, VariablePairs<'_>, &str)] = &[
            (None, &[], "https://huggingface.co"),
            (None, &[("HF_ENDPOINT", "")], "https://huggingface.co"),
            (None, &[("HF_ENDPOINT", "https://hub.example.org/hf//")], "https://hub.example.org/hf"),
            (Some("http://127.0.0.1:8080/"), &[("HF_ENDPOINT", "https://x")], "http://127.0.0.1:8080"),
        ];
        for (endpoint, variables, expected) in cases {
            let token = Some(HubToken::new("hf_1").unwrap());
            let given = ExplicitSettings { endpoint: endpoint.map(str::to_owned), token };
            assert_eq!(resolve_settings(given, variables, &[]).unwrap().endpoint, *expected);
        }
    }

    #[test]
    fn invalid_endpoint_error_hides_password() {
        for address in
            ["localhost:8080", "ftp://x", "https://", "https://me:secret@hub.example.org", "http://a b"]
        {
            let variables = [("HF_TOKEN", "hf_1"), ("HF_ENDPOINT", address)];
            let error = resolve_settings(ExplicitSettings::default(), &variables, &[]).unwrap_err();
            assert!(matches!(error, PushError::InvalidEndpoint { .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }

    #[test]
    fn offline_overrides_explicit_settings() {
        for (variable, value) in [("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "true")] {
            let given = ExplicitSettings {
                token: Some(HubToken::new("hf_1").unwrap()),
                ..ExplicitSettings::default()
            };
            let error = resolve_settings(given, &[(variable, value)], &[]).unwrap_err();
            assert!(error.to_string().contains(variable), "{error}");
        }
        assert!(
            resolve_settings(
                ExplicitSettings::default(),
                &[("HF_HUB_OFFLINE", "0"), ("HF_TOKEN", "hf_1")],
                &[]
            )
            .is_ok()
        );
    }

    #[test]
    fn cache_is_in_hf_home() {
        let settings =
            resolve_settings(ExplicitSettings::default(), &[("HF_TOKEN", "hf_1"), ("HF_HOME", "/h")], &[])
                .unwrap();
        assert_eq!(settings.cache_dir, Path::new("/h/hub"));
    }
}
