//! The Hub's address and the token, found where Hugging Face's Python client finds them.
//!
//! hf-hub 1.0.0 looks into the same variables by other rules: it does not trim a token, takes
//! `HF_HUB_DISABLE_IMPLICIT_TOKEN=0` for a yes and ignores `HF_HUB_OFFLINE`. So it is always told, and never asked.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::PublishError;
use crate::token::{Token, TokenError};

/// The Hub that everybody means.
const HUB: &str = "https://huggingface.co";

/// Either says that no network may be used.
const OFFLINE: [&str; 2] = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];

/// A token itself, the first before the second.
const TOKENS: [&str; 2] = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];

/// Says that a token is to be given, not found.
pub(crate) const NO_IMPLICIT_TOKEN: &str = "HF_HUB_DISABLE_IMPLICIT_TOKEN";

/// What is needed to speak with the Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Without a slash at its end.
    pub(crate) endpoint: String,
    pub(crate) token: Token,
    /// Where the Hub's files are kept on this machine.
    pub(crate) cache: PathBuf,
}

/// What the caller said, which goes before everything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) endpoint: Option<String>,
    pub(crate) token: Option<Token>,
}

/// The environment: a variable's value by its name.
type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Settings {
    /// The settings of an environment whose files are read by `read`.
    pub(crate) fn resolve(
        given: Given,
        variable: Variable<'_>,
        read: &dyn Fn(&Path) -> io::Result<String>,
    ) -> Result<Self, PublishError> {
        let variable: Variable<'_> = &|name| variable(name).filter(|value| !value.trim().is_empty());
        if let Some(name) = OFFLINE.into_iter().find(|name| is_on(variable, name)) {
            return Err(PublishError::Offline { variable: name });
        }
        let home = home(variable);
        let token = match given.token {
            Some(token) => token,
            None if is_on(variable, NO_IMPLICIT_TOKEN) => return Err(PublishError::TokenNotGiven),
            None => found_token(variable, read, &home)?.ok_or(PublishError::NoToken)?,
        };
        Ok(Self {
            endpoint: endpoint(given.endpoint.or_else(|| variable("HF_ENDPOINT")))?,
            token,
            cache: home.join("hub"),
        })
    }
}

/// Where a publication would find its token: a variable's name, or a file in words. The token itself is shown to nobody.
///
/// # Errors
/// [`PublishError::NoToken`] when there is none, and the others that a publication would end with.
pub fn token_origin() -> Result<&'static str, PublishError> {
    origin_of(&|name| std::env::var(name).ok(), &|path| std::fs::read_to_string(path))
}

fn origin_of(
    variable: Variable<'_>,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<&'static str, PublishError> {
    let variable: Variable<'_> = &|name| variable(name).filter(|value| !value.trim().is_empty());
    if is_on(variable, NO_IMPLICIT_TOKEN) {
        return Err(PublishError::TokenNotGiven);
    }
    found_token(variable, read, &home(variable))?.ok_or(PublishError::NoToken)?;
    let file = match variable("HF_TOKEN_PATH") {
        Some(_) => "the file that HF_TOKEN_PATH names",
        None => "the file of `hf auth login`",
    };
    Ok(TOKENS.into_iter().find(|name| variable(name).is_some()).unwrap_or(file))
}

fn found_token(
    variable: Variable<'_>,
    read: &dyn Fn(&Path) -> io::Result<String>,
    home: &Path,
) -> Result<Option<Token>, PublishError> {
    for name in TOKENS {
        if let Some(text) = variable(name) {
            return unless_empty(&text);
        }
    }
    let path = variable("HF_TOKEN_PATH").map_or_else(|| home.join("token"), |path| expand(&path, variable));
    match read(&path) {
        Ok(text) => unless_empty(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PublishError::TokenFile { path, source }),
    }
}

fn unless_empty(text: &str) -> Result<Option<Token>, PublishError> {
    match Token::new(text) {
        Ok(token) => Ok(Some(token)),
        Err(TokenError::Empty) => Ok(None),
        Err(error) => Err(PublishError::Token(error)),
    }
}

/// The address as it is put in front of each path.
///
/// A user name in it would turn up in messages, and a missing scheme would be taken for the scheme `localhost`.
fn endpoint(given: Option<String>) -> Result<String, PublishError> {
    let given = given.unwrap_or_else(|| HUB.to_owned());
    let endpoint = given.trim().trim_end_matches('/');
    let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['@', '?', '#', ' ']) => Ok(endpoint.to_owned()),
        _ => {
            let shown = given.rsplit('@').next().unwrap_or_default();
            Err(PublishError::Endpoint { endpoint: shown.to_owned() })
        }
    }
}

/// The folder of Hugging Face's tools.
fn home(variable: Variable<'_>) -> PathBuf {
    match (variable("HF_HOME"), variable("XDG_CACHE_HOME")) {
        (Some(home), _) => expand(&home, variable),
        (None, Some(cache)) => expand(&cache, variable).join("huggingface"),
        (None, None) => expand("~/.cache/huggingface", variable),
    }
}

/// A path with the user's folder for `~` and the values of `$NAME` and `${NAME}`. An unknown name stays as it is.
fn expand(path: &str, variable: Variable<'_>) -> PathBuf {
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
        let (name, after) = variable_name(behind);
        match variable(name) {
            Some(value) => expanded.push_str(&value),
            None => expanded.push_str(&rest[before.len()..rest.len() - after.len()]),
        }
        rest = after;
    }
    expanded.push_str(rest);
    expanded.into()
}

/// The name behind a dollar sign, and what follows it.
fn variable_name(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
        return (name, after);
    }
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split_at(text.find(|letter| !is_name(letter)).unwrap_or(text.len()))
}

/// Whether a variable says yes in one of Python's ways.
fn is_on(variable: Variable<'_>, name: &str) -> bool {
    let value = variable(name).map(|value| value.to_ascii_uppercase());
    matches!(value.as_deref(), Some("1" | "ON" | "YES" | "TRUE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    /// The settings of these variables and files.
    fn resolve(given: Given, variables: Pairs<'_>, files: Pairs<'_>) -> Result<Settings, PublishError> {
        let find = |pairs: Pairs<'_>, name: &str| {
            pairs.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned())
        };
        let read = |path: &Path| {
            let path = path.to_str().unwrap();
            find(files, path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        };
        Settings::resolve(given, &|name| find(variables, name), &read)
    }

    /// The token that is found; `-` for none.
    fn token(variables: Pairs<'_>, files: Pairs<'_>) -> String {
        match resolve(Given::default(), variables, files) {
            Ok(settings) => settings.token.expose().to_owned(),
            Err(PublishError::NoToken) => "-".to_owned(),
            Err(other) => other.to_string(),
        }
    }

    /// What `huggingface_hub.get_token()` gives for the same environment.
    #[test]
    fn the_token_is_python_s() {
        let home = ("HOME", "/u");
        let file = ("/u/.cache/huggingface/token", "hf_file\n");
        let cases: &[(Pairs<'_>, Pairs<'_>, &str)] = &[
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
            assert_eq!(token(variables, files), *expected, "{variables:?} {files:?}");
        }
    }

    #[test]
    fn who_asks_where_the_token_is_from_hears_it_and_not_the_token() {
        let origin = |variables: Pairs<'_>, has_file: bool| {
            let variable = |name: &str| {
                variables.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned())
            };
            let read = |_: &Path| match has_file {
                true => Ok("hf_file".to_owned()),
                false => Err(io::Error::from(io::ErrorKind::NotFound)),
            };
            origin_of(&variable, &read).map_err(|error| error.to_string())
        };
        assert_eq!(origin(&[("HF_TOKEN", "hf_1")], true), Ok("HF_TOKEN"));
        assert_eq!(
            origin(&[("HF_TOKEN", " "), ("HUGGING_FACE_HUB_TOKEN", "hf_2")], true),
            Ok("HUGGING_FACE_HUB_TOKEN")
        );
        assert_eq!(origin(&[("HF_TOKEN_PATH", "/t")], true), Ok("the file that HF_TOKEN_PATH names"));
        assert_eq!(origin(&[], true), Ok("the file of `hf auth login`"));
        assert_eq!(origin(&[], false), Err(PublishError::NoToken.to_string()));
        let forbidden = origin(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"), ("HF_TOKEN", "hf_1")], true);
        assert_eq!(forbidden, Err(PublishError::TokenNotGiven.to_string()));
    }

    #[test]
    fn a_token_that_is_given_goes_before_all_others() {
        let given = Given { token: Some(Token::new("hf_given").unwrap()), ..Given::default() };
        let variables = [("HF_TOKEN", "hf_1"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "yes")];
        let settings = resolve(given, &variables, &[]).unwrap();
        assert_eq!(settings.token.expose(), "hf_given");
    }

    #[test]
    fn a_token_that_may_not_be_found_must_be_given() {
        for yes in ["1", "true", "Yes", "ON"] {
            let variables = [("HF_HUB_DISABLE_IMPLICIT_TOKEN", yes), ("HF_TOKEN", "hf_1")];
            let error = resolve(Given::default(), &variables, &[]).unwrap_err();
            assert!(matches!(error, PublishError::TokenNotGiven), "{error}");
        }
    }

    #[test]
    fn a_token_file_that_cannot_be_read_is_an_error_and_not_no_token() {
        let read = |_: &Path| Err(io::Error::from(io::ErrorKind::PermissionDenied));
        let error = Settings::resolve(Given::default(), &|_| None, &read).unwrap_err();
        assert!(matches!(error, PublishError::TokenFile { .. }), "{error}");
    }

    #[test]
    fn the_address_is_python_s_and_has_no_slash_at_its_end() {
        let cases: &[(Option<&str>, Pairs<'_>, &str)] = &[
            (None, &[], "https://huggingface.co"),
            (None, &[("HF_ENDPOINT", "")], "https://huggingface.co"),
            (None, &[("HF_ENDPOINT", "https://hub.example.org/hf//")], "https://hub.example.org/hf"),
            (Some("http://127.0.0.1:8080/"), &[("HF_ENDPOINT", "https://x")], "http://127.0.0.1:8080"),
        ];
        for (endpoint, variables, expected) in cases {
            let token = Some(Token::new("hf_1").unwrap());
            let given = Given { endpoint: endpoint.map(str::to_owned), token };
            assert_eq!(resolve(given, variables, &[]).unwrap().endpoint, *expected);
        }
    }

    #[test]
    fn an_address_without_a_scheme_or_with_a_password_is_refused_and_the_password_not_shown() {
        for address in
            ["localhost:8080", "ftp://x", "https://", "https://me:secret@hub.example.org", "http://a b"]
        {
            let variables = [("HF_TOKEN", "hf_1"), ("HF_ENDPOINT", address)];
            let error = resolve(Given::default(), &variables, &[]).unwrap_err();
            assert!(matches!(error, PublishError::Endpoint { .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }

    #[test]
    fn offline_is_offline_even_when_everything_is_given() {
        for (variable, value) in [("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "true")] {
            let given = Given { token: Some(Token::new("hf_1").unwrap()), ..Given::default() };
            let error = resolve(given, &[(variable, value)], &[]).unwrap_err();
            assert!(error.to_string().contains(variable), "{error}");
        }
        assert!(resolve(Given::default(), &[("HF_HUB_OFFLINE", "0"), ("HF_TOKEN", "hf_1")], &[]).is_ok());
    }

    #[test]
    fn the_cache_lies_in_the_home_of_hugging_face_s_tools() {
        let settings = resolve(Given::default(), &[("HF_TOKEN", "hf_1"), ("HF_HOME", "/h")], &[]).unwrap();
        assert_eq!(settings.cache, Path::new("/h/hub"));
    }
}
