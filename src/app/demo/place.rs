//! Where the demo lives on disk, and how the gateway is set up there.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::DemoError;
use crate::app::init::{self, InitArgs};
use crate::secret::SecretBytes;

pub const HOST: &str = "localhost";
pub const REGION: &str = "us-east-1";
/// What the provider knows the gateway by.
pub const PROVIDER_KEY: &str = "PROVIDER";
/// What the gateway knows the user by.
pub const USER_KEY: &str = "EXAMPLE";

const USER_SECRET: &str = "secrets/example-client";
const PROVIDER_SECRET: &str = "secrets/example-upstream";

/// A directory of its own: the user's files, the gateway's working directory, the provider's disk.
pub struct Place {
    root: PathBuf,
    temporary: bool,
}

impl Place {
    /// `chosen` must not exist, or be empty, and stays; a temporary directory is removed when this is dropped.
    ///
    /// # Errors
    /// It is in use, or can't be made.
    pub fn make(chosen: Option<&Path>) -> Result<Self, DemoError> {
        let (root, temporary) = match chosen {
            Some(root) => (root.to_owned(), false),
            None => {
                let name = format!("sceau-demo-{}", init::random(6)?);
                (std::env::temp_dir().join(name), true)
            }
        };
        init::refuse_used(&root)?;
        if !root.is_dir() {
            DirBuilder::new().mode(0o700).create(&root)?;
        }
        let root = fs::canonicalize(root)?;
        let place = Self { root, temporary };
        fs::create_dir(place.files())?;
        fs::create_dir(place.provider())?;
        Ok(place)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// What the user has.
    pub fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// What the provider has.
    pub fn provider(&self) -> PathBuf {
        self.root.join("provider")
    }

    /// The gateway's working directory, as `sceau init` makes it.
    pub fn gateway(&self) -> PathBuf {
        self.root.join("gateway")
    }

    /// The authority that the user trusts, in PEM.
    pub fn authority(&self) -> PathBuf {
        self.gateway().join("tls/ca.pem")
    }

    pub fn user_secret_file(&self) -> PathBuf {
        self.gateway().join(USER_SECRET)
    }

    /// Makes the working directory, without a service yet.
    ///
    /// # Errors
    /// As `sceau init`.
    pub fn init(&self, bind: SocketAddr) -> Result<(), DemoError> {
        init::make(&InitArgs::new(self.gateway(), HOST, bind))?;
        fs::remove_file(self.gateway().join("services.d/10-example.toml"))?;
        let secret = init::random(32)?;
        Ok(fs::write(self.gateway().join(PROVIDER_SECRET), secret)?)
    }

    /// Writes the service file for a provider at `address`.
    ///
    /// # Errors
    /// It can't be written.
    pub fn serve(&self, address: SocketAddr) -> io::Result<()> {
        let text = format!(
            "kind = \"s3\"\nname = \"demo\"\ntenant = \"demo\"\nservice = \"demo\"\nhosts = [\"{HOST}\"]\n\
             virtual_host = true\n\n\
             [upstream]\nurl = \"http://{address}\"\nregion = \"{REGION}\"\naccess_key = \"{PROVIDER_KEY}\"\n\
             secret_key_file = \"{PROVIDER_SECRET}\"\nconditional_writes = \"yes\"\n\n\
             [[credential]]\naccess_key = \"{USER_KEY}\"\nsecret_key_file = \"{USER_SECRET}\"\n"
        );
        fs::write(self.gateway().join("services.d/10-demo.toml"), text)
    }

    pub fn user_secret(&self) -> io::Result<SecretBytes> {
        fs::read(self.user_secret_file()).map(SecretBytes::new)
    }

    pub fn provider_secret(&self) -> io::Result<SecretBytes> {
        fs::read(self.gateway().join(PROVIDER_SECRET)).map(SecretBytes::new)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.temporary {
            // nobody is left to be told
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_use_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("precious");
        fs::write(&file, "x").unwrap();
        assert!(matches!(
            Place::make(Some(parent.path())),
            Err(DemoError::Init(_))
        ));
        assert_eq!(fs::read(file).unwrap(), b"x");
    }

    #[test]
    fn a_chosen_directory_stays_and_a_temporary_one_goes() {
        let parent = tempfile::tempdir().unwrap();
        let chosen = parent.path().join("demo");
        drop(Place::make(Some(&chosen)).unwrap());
        assert!(chosen.join("provider").is_dir());
        let place = Place::make(None).unwrap();
        let root = place.root().to_owned();
        assert!(root.is_dir() && place.is_temporary());
        drop(place);
        assert!(!root.exists());
    }

    #[test]
    fn the_configuration_is_one_that_the_gateway_takes() {
        let place = Place::make(None).unwrap();
        place.init("127.0.0.1:0".parse().unwrap()).unwrap();
        place.serve("127.0.0.1:9".parse().unwrap()).unwrap();
        let gateway = crate::config::load(&place.gateway()).unwrap();
        assert_eq!(gateway.services[0].hosts, [HOST]);
        assert!(!gateway.services[0].transport.endpoint.tls);
    }
}
