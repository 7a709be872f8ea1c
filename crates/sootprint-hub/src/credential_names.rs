//! Names that are typical of files with credentials.

/// Words that qualify `token` or `key` in the name of a credential: a name of other words is that of a model file, such as
/// `tiny.en-tokens.txt`.
const QUALIFIERS: [&str; 24] = [
    "access",
    "api",
    "auth",
    "bearer",
    "bot",
    "client",
    "deploy",
    "gh",
    "git",
    "github",
    "gitlab",
    "hf",
    "hub",
    "huggingface",
    "jwt",
    "my",
    "oauth",
    "private",
    "read",
    "refresh",
    "secret",
    "session",
    "stored",
    "write",
];

/// Extensions of keys and key stores.
const EXTENSIONS: [&str; 12] =
    ["pem", "key", "p12", "pfx", "jks", "keystore", "kdbx", "ovpn", "tfstate", "ppk", "env", "netrc"];

/// Extensions that hide another one.
const COPY_EXTENSIONS: [&str; 6] = ["bak", "old", "orig", "backup", "gz", "zip"];

/// Parts of names that no model file has.
const PARTS: [&str; 15] = [
    "credential",
    "passw",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "rootkey",
    "kaggle.json",
    "netrc",
    "pgpass",
    "htpasswd",
    "kubeconfig",
    "serviceaccount",
    "tfstate",
    "secring",
];

/// Whether the name of a file or folder is typical of credentials.
pub(crate) fn is_credential_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut extensions: Vec<&str> = name.split('.').skip(1).collect();
    while extensions.last().is_some_and(|extension| COPY_EXTENSIONS.contains(extension)) {
        extensions.pop();
    }
    let joined: String = name.chars().filter(|letter| !matches!(letter, '-' | '_' | ' ')).collect();
    extensions.last().is_some_and(|extension| EXTENSIONS.contains(extension))
        || PARTS.iter().any(|part| joined.contains(part))
        || is_ssh_key(name.split('.').next().unwrap_or_default())
        || has_secret_word(name.split('.').next().unwrap_or_default())
        || name.starts_with("env.")
        || name == "auth.json"
}

fn is_ssh_key(stem: &str) -> bool {
    ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"].iter().any(|key| stem.starts_with(key))
}

/// Whether the words of a name, without extensions, name a secret or a token.
fn has_secret_word(stem: &str) -> bool {
    let words: Vec<&str> =
        stem.split(|letter: char| !letter.is_alphanumeric()).filter(|it| !it.is_empty()).collect();
    let is_secret = |word: &&str| word.ends_with("secret") || word.ends_with("secrets");
    let is_token = |word: &&str| {
        ["token", "tokens"].iter().any(|token| {
            word.strip_suffix(token).is_some_and(|before| before.is_empty() || QUALIFIERS.contains(&before))
        })
    };
    let is_qualified = words.iter().all(|word| is_token(word) || QUALIFIERS.contains(word));
    // A file of tokens, without another word, is a vocabulary.
    let is_vocabulary = words == ["tokens"];
    words.iter().any(is_secret) || words.iter().any(is_token) && is_qualified && !is_vocabulary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_found() {
        for name in [
            "token",
            "TOKEN",
            "token.json",
            "hf_token.txt",
            "hftoken",
            "github-token",
            "id_rsa",
            "id_ed25519.bak",
            "server.pem",
            "server.key.bak",
            "credentials.json",
            "my-secrets.yaml",
            "client_secret.json",
            "passwords.txt",
            "kaggle.json",
            "terraform.tfstate",
            "store.jks",
            "keys.kdbx",
            "netrc",
            "x.p12",
            "secrets",
            "access_tokens.json",
            "api_tokens.txt",
            "stored_tokens",
            "gcp-service-account.json",
            "prod.env",
            "env.prod",
            "key.ppk",
            "accessKeys.csv",
            "rootkey.csv",
            "application_default_credentials.json",
            "api_key.txt",
            "auth.json",
        ] {
            assert!(is_credential_name(name), "{name}");
        }
    }

    #[test]
    fn model_files_are_no_credentials() {
        for name in [
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "added_tokens.json",
            "tokens.txt",
            "tokenization_qwen.py",
            "tiny.en-tokens.txt",
            "large-v3-tokens.txt",
            "qwen.tiktoken",
            "tiktoken.model",
            "en_token_list",
            "token_list.txt",
            "tokens.json",
            "tokens.lst",
            "token2id.json",
            "id2token.txt",
            "id_to_token.json",
            "token2wav",
            "text.attention.self.key.weight",
            "attention.self.key.bias",
            "token_type_embeddings.weight",
            "cls_token",
            "mask_token",
            "token-classification",
            "token_classification",
            "soft_token",
            "vq_tokens.npy",
            "conversation_rsa.json",
            "secretary_bird.jpg",
            "merges.txt",
            "keypoints.json",
            "model.embed_tokens.weight",
            "chat_template.jinja",
            "monkey.txt",
        ] {
            assert!(!is_credential_name(name), "{name}");
        }
    }
}
