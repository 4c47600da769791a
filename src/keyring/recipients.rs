//! `recipients.toml`: to whom every secret is wrapped.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::directory;
use super::error::KeyError;
use super::identity::Recipient;

/// What a recipient is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Opens in daily use.
    Ministry,
    /// Lies offline; opens when the ministry's identity is lost.
    Recovery,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ministry => "ministry",
            Self::Recovery => "recovery",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub name: String,
    pub role: Role,
    pub key: String,
}

/// The file's contents.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipients {
    #[serde(default, rename = "recipient")]
    pub entries: Vec<Entry>,
}

impl Recipients {
    /// # Errors
    /// The file can't be read, or holds something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = String::from_utf8(directory::read(path)?).map_err(|_| KeyError::Malformed {
            path: path.to_owned(),
            what: "not text",
        })?;
        toml::from_str(&text)
            .map_err(|error| KeyError::Recipients(format!("{}: {error}", path.display())))
    }

    /// # Errors
    /// The file can't be written.
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        let text =
            toml::to_string(self).map_err(|error| KeyError::Recipients(error.to_string()))?;
        directory::replace(path, text.as_bytes())
    }

    /// The keys, once it is certain that they are enough.
    ///
    /// # Errors
    /// A ministry recipient is missing, or a recovery one while `recovery_none` does not say so; names or keys twice.
    pub fn checked(&self, recovery_none: bool) -> Result<Vec<Recipient>, KeyError> {
        let has = |role| self.entries.iter().any(|entry| entry.role == role);
        if !has(Role::Ministry) {
            return Err(KeyError::Recipients(
                "there is no recipient with the role `ministry`".into(),
            ));
        }
        if !has(Role::Recovery) && !recovery_none {
            return Err(KeyError::Recipients(
                "there is no recipient with the role `recovery`; add one, or write recovery = \"none\" in gateway.toml"
                    .into(),
            ));
        }
        let mut keys: Vec<Recipient> = Vec::new();
        for (i, entry) in self.entries.iter().enumerate() {
            let key = Recipient::parse(&entry.key)?;
            if entry.name.is_empty() || entry.name.chars().any(char::is_control) {
                return Err(KeyError::Recipients("a recipient has no name".into()));
            }
            let twice = keys.iter().any(|known| known.id() == key.id())
                || self.entries[..i]
                    .iter()
                    .any(|known| known.name == entry.name);
            if twice {
                return Err(KeyError::Recipients(format!(
                    "`{}` is there twice",
                    entry.name
                )));
            }
            keys.push(key);
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::identity::Identity;

    fn entry(name: &str, role: Role) -> Entry {
        Entry {
            name: name.into(),
            role,
            key: Identity::generate().recipient().to_string(),
        }
    }

    #[test]
    fn one_recipient_only_is_refused_unless_said_in_so_many_words() {
        let one = Recipients {
            entries: vec![entry("m", Role::Ministry)],
        };
        assert!(one.checked(false).is_err());
        assert_eq!(one.checked(true).unwrap().len(), 1);
        let two = Recipients {
            entries: vec![entry("m", Role::Ministry), entry("r", Role::Recovery)],
        };
        assert_eq!(two.checked(false).unwrap().len(), 2);
        let recovery = Recipients {
            entries: vec![entry("r", Role::Recovery)],
        };
        assert!(recovery.checked(true).is_err());
    }

    #[test]
    fn the_file_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recipients.toml");
        let two = Recipients {
            entries: vec![entry("m", Role::Ministry), entry("r", Role::Recovery)],
        };
        two.write(&path).unwrap();
        assert_eq!(Recipients::read(&path).unwrap().entries.len(), 2);
        std::fs::write(
            &path,
            "[[recipient]]\nname='x'\nrole='ministry'\nkey='k'\ntypo=1\n",
        )
        .unwrap();
        assert!(Recipients::read(&path).is_err());
    }
}
