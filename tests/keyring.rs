//! The key ring against a directory on disk, as an operator and a custodian use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sceau::app::offline::{OpenFault, open_object};
use sceau::keyring::offline::{self, OfContext, OfflineEpochs};
use sceau::keyring::recipients::Role;
use sceau::keyring::{KeyError, Keyring, Provider, Settings, admin, bundle};
use sceau::seal::run::{RunSealer, RunSpec};
use sceau::seal::trailer::{Digests, seal_trailer};
use sceau::seal::{
    Context, EpochKeys, EpochShort, Epochs, KeyLookup, LookupError, ObjectId, OpenError, Salt, blob,
};
use sceau::secret::SecretBytes;

static NOW: AtomicU64 = AtomicU64::new(1_000_000);

fn clock() -> u64 {
    NOW.load(Ordering::Relaxed)
}

fn pass(text: &str) -> SecretBytes {
    SecretBytes::new(text.as_bytes().to_vec())
}

fn context(namespace: &str) -> Context {
    Context::new("ministere", "s3-a", namespace).unwrap()
}

/// A directory with both recipients; the recovery identity beside it.
fn made(root: &Path) {
    let recovery = root.join("recovery.identity");
    admin::init(&admin::Init {
        directory: &root.join("keys"),
        passphrase: &pass("ministry"),
        recovery: admin::Recovery::Identity(&recovery, &pass("recovery")),
    })
    .unwrap();
}

fn settings(root: &Path) -> Settings {
    let directory = root.join("keys");
    let identity = admin::identity_path(&directory, "ministry");
    let passphrase = pass("ministry");
    Settings::new(
        directory,
        Provider::PassphraseFile {
            identity,
            passphrase,
        },
    )
}

fn open(root: &Path) -> Arc<Keyring> {
    Arc::new(Keyring::open(settings(root), clock).unwrap())
}

fn seal(epochs: &dyn Epochs, context: &Context) -> Vec<u8> {
    let keys = epochs.current().unwrap();
    let salt = Salt::of_test_vector([1; 32]);
    blob::seal(
        &keys,
        context,
        &[b"place"],
        ObjectId([2; 16]),
        salt,
        b"bonjour",
    )
    .unwrap()
}

fn opened(lookup: &dyn KeyLookup, context: &Context, sealed: &[u8]) -> bool {
    blob::open(lookup, context, &[b"place"], sealed).is_ok_and(|blob| blob.plaintext == b"bonjour")
}

/// The epochs of the context that the blob's own epoch has.
fn of_first(epochs: OfflineEpochs, blob: &[u8]) -> OfContext {
    let short = EpochShort(blob[8..24].try_into().unwrap());
    OfContext::of(&Arc::new(epochs), short).unwrap()
}

/// A run under the one epoch and the trailer under the other, both in the first one's context, as somebody would who holds
/// the other's secret.
fn continued(run: &EpochKeys, trailer: &EpochKeys, context: &Context) -> Vec<u8> {
    let object = ObjectId([7; 16]);
    let spec = RunSpec {
        object,
        part: 0,
        salt: Salt::of_test_vector([1; 32]),
        length: Some(7),
    };
    let sealer = RunSealer::new(run, context, spec).unwrap();
    let mut sealed = sealer.header().to_vec();
    let mut text = *b"bonjour";
    let (tag, entry) = sealer.finish(&mut text).unwrap();
    sealed.extend_from_slice(&text);
    sealed.extend_from_slice(&tag);
    let salt = Salt::of_test_vector([2; 32]);
    let end = seal_trailer(
        trailer,
        context,
        object,
        salt,
        &[entry],
        &Digests::default(),
    )
    .unwrap();
    sealed.extend_from_slice(end.as_bytes());
    sealed
}

#[test]
fn another_contexts_epoch_does_not_go_on_with_an_object_offline() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let keyring = open(root.path());
    let (own, other) = (
        keyring.epochs(context("n")).current().unwrap(),
        keyring.epochs(context("m")).current().unwrap(),
    );
    let identity = admin::identity_path(&root.path().join("keys"), "ministry");
    let identity = offline::identity(&identity, &pass("ministry")).unwrap();
    let epochs = OfflineEpochs::read(&[root.path().join("keys")], identity).unwrap();
    let epochs = Arc::new(epochs);
    let opened = |sealed: Vec<u8>| {
        let mut plain = Vec::new();
        let length = open_object(&mut std::io::Cursor::new(sealed), &epochs, &mut plain);
        length.map(|_| plain)
    };
    let whole = opened(continued(&own, &own, &context("n"))).unwrap();
    assert_eq!(whole, b"bonjour");
    let refused = opened(continued(&own, &other, &context("n"))).unwrap_err();
    assert!(
        matches!(refused, OpenFault::Refused(OpenError::KeyUnavailable(_))),
        "{refused}"
    );
}

#[test]
fn what_was_sealed_opens_after_a_restart_and_for_recovery_alone() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let sealed = seal(
        open(root.path()).epochs(context("n")).as_ref(),
        &context("n"),
    );
    let again = open(root.path()).epochs(context("n"));
    assert!(opened(again.as_ref(), &context("n"), &sealed));

    // the ministry's identity is lost: an exported bundle and the recovery identity open it, offline
    let target = root.path().join("bundle");
    assert_eq!(
        bundle::export(&root.path().join("keys"), &target).unwrap(),
        1
    );
    std::fs::remove_dir_all(root.path().join("keys")).unwrap();
    let identity =
        offline::identity(&root.path().join("recovery.identity"), &pass("recovery")).unwrap();
    let lookup = of_first(OfflineEpochs::read(&[target], identity).unwrap(), &sealed);
    assert!(opened(&lookup, &context("n"), &sealed));
}

#[test]
fn another_namespace_does_not_open() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let keyring = open(root.path());
    let sealed = seal(keyring.epochs(context("one")).as_ref(), &context("one"));
    let other = keyring.epochs(context("two"));
    assert!(!opened(other.as_ref(), &context("two"), &sealed));
    assert!(
        !opened(other.as_ref(), &context("one"), &sealed),
        "its record is another's"
    );
}

#[test]
fn epochs_end_by_count_and_by_age_and_by_order() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let mut limited = settings(root.path());
    limited.epoch_max_objects = 2;
    limited.epoch_max_age = Duration::from_secs(1_000_000_000);
    let epochs = Arc::new(Keyring::open(limited, clock).unwrap()).epochs(context("n"));
    let ids: Vec<_> = (0..5).map(|_| epochs.current().unwrap().id).collect();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[2], ids[3]);
    assert!(ids[1] != ids[2] && ids[3] != ids[4]);

    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let mut limited = settings(root.path());
    limited.epoch_max_age = Duration::from_secs(0);
    let epochs = Arc::new(Keyring::open(limited, clock).unwrap()).epochs(context("n"));
    assert!(epochs.current().unwrap().id != epochs.current().unwrap().id);
}

/// Beyond the time after which the directory is asked again.
fn a_minute_passes() {
    NOW.fetch_add(61, Ordering::Relaxed);
}

#[test]
fn each_order_to_rotate_is_followed_once() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let keys = root.path().join("keys");
    let epochs = open(root.path()).epochs(context("n"));
    let first = epochs.current().unwrap().id;
    a_minute_passes();
    assert_eq!(epochs.current().unwrap().id, first);
    // orders of one and the same second, by a clock that is behind
    let mut last = first;
    for _ in 0..2 {
        admin::rotate(&keys, 5).unwrap();
        a_minute_passes();
        let next = epochs.current().unwrap().id;
        assert!(next != last);
        a_minute_passes();
        assert_eq!(epochs.current().unwrap().id, next);
        last = next;
    }
}

#[test]
fn recipients_that_change_while_a_gateway_runs_count_at_once() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let keys = root.path().join("keys");
    let epochs = open(root.path()).epochs(context("n"));
    let second = sceau::keyring::identity::Identity::generate();
    let wraps = || {
        let id = epochs.current().unwrap().id;
        let records = admin::read_records(&keys).unwrap();
        let record = records.iter().find(|record| record.id == id).unwrap();
        record.wraps.len()
    };
    let key = second.recipient();
    admin::add_recipient(&keys, "second", Role::Ministry, key, false).unwrap();
    assert_eq!(wraps(), 3);
    admin::remove_recipient(&keys, "second", false, None).unwrap();
    admin::rotate(&keys, clock()).unwrap();
    a_minute_passes();
    assert_eq!(wraps(), 2, "whoever was removed gets no new secret");
    // the gateway's own identity is removed: it seals nothing that it can't read
    admin::add_recipient(&keys, "second", Role::Ministry, key, false).unwrap();
    admin::remove_recipient(&keys, "ministry", false, None).unwrap();
    admin::rotate(&keys, clock()).unwrap();
    a_minute_passes();
    assert!(epochs.current().is_err());
}

#[test]
fn a_shredded_epoch_is_sealed_under_no_more() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let epochs = open(root.path()).epochs(context("n"));
    let first = epochs.current().unwrap().id;
    let name = format!("keys/records/{}.record", hex::encode(first.0));
    std::fs::remove_file(root.path().join(name)).unwrap();
    a_minute_passes();
    assert!(epochs.current().unwrap().id != first);
}

#[test]
fn opened_epochs_are_kept_for_their_time_and_the_least_used_makes_room() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let keyring = open(root.path());
    let ids: Vec<_> = (0..4)
        .map(|_| keyring.epochs(context("n")).current().unwrap().id.short())
        .collect();
    let mut small = settings(root.path());
    small.cache_size = 2;
    small.cache_ttl = Duration::from_secs(100_000);
    let epochs = Arc::new(Keyring::open(small, clock).unwrap()).epochs(context("n"));
    for i in [0, 1, 0, 2] {
        epochs.epoch(ids[i]).unwrap();
    }
    let mut short = settings(root.path());
    short.cache_ttl = Duration::from_secs(30);
    let brief = Arc::new(Keyring::open(short, clock).unwrap()).epochs(context("n"));
    brief.epoch(ids[3]).unwrap();
    // what is found from here on was kept
    std::fs::remove_dir_all(root.path().join("keys/records")).unwrap();
    let kept: Vec<_> = ids.iter().map(|id| epochs.epoch(*id).is_ok()).collect();
    assert_eq!(kept, [true, false, true, false]);
    a_minute_passes();
    assert!(matches!(brief.epoch(ids[3]), Err(LookupError::Unknown)));
}

#[test]
fn seal_only_reads_its_own_epoch_and_no_other() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let before = seal(
        open(root.path()).epochs(context("n")).as_ref(),
        &context("n"),
    );
    let provider = Provider::SealOnly {
        passphrase: pass("ministry"),
    };
    let blind = Settings::new(root.path().join("keys"), provider);
    let epochs = Arc::new(Keyring::open(blind, clock).unwrap()).epochs(context("n"));
    let own = seal(epochs.as_ref(), &context("n"));
    assert!(opened(epochs.as_ref(), &context("n"), &own));
    assert!(!opened(epochs.as_ref(), &context("n"), &before));
    // what it sealed, the ministry opens
    assert!(opened(
        open(root.path()).epochs(context("n")).as_ref(),
        &context("n"),
        &own
    ));
}

#[test]
fn a_changed_recipient_reads_after_rewrapping_and_the_old_one_no_more() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let keys = root.path().join("keys");
    let sealed = seal(
        open(root.path()).epochs(context("n")).as_ref(),
        &context("n"),
    );
    let second = sceau::keyring::identity::Identity::generate();
    let key = second.recipient().clone();
    admin::add_recipient(&keys, "second", Role::Ministry, &key, false).unwrap();
    assert!(
        admin::add_recipient(&keys, "again", Role::Ministry, &key, false).is_err(),
        "the same key twice"
    );
    let identity =
        offline::identity(&admin::identity_path(&keys, "ministry"), &pass("ministry")).unwrap();
    assert_eq!(admin::rewrap(&keys, &identity, false).unwrap().wrapped, 1);
    let lookup = OfflineEpochs::read(std::slice::from_ref(&keys), second).unwrap();
    let lookup = of_first(lookup, &sealed);
    assert!(opened(&lookup, &context("n"), &sealed));
    admin::remove_recipient(&keys, "ministry", false, None).unwrap();
    assert!(
        admin::remove_recipient(&keys, "recovery", false, None).is_err(),
        "recovery must be left"
    );
    assert!(admin::remove_recipient(&keys, "nobody", false, None).is_err());
    let refused = Keyring::open(settings(root.path()), clock);
    assert!(
        matches!(refused, Err(KeyError::NoIdentity)),
        "no longer a recipient"
    );
}

#[test]
fn a_shredded_epoch_opens_for_nobody() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let keys = root.path().join("keys");
    let sealed = seal(
        open(root.path()).epochs(context("n")).as_ref(),
        &context("n"),
    );
    let record = admin::read_records(&keys).unwrap().remove(0);
    let id = hex::encode(record.id.0);
    assert!(admin::shred(&keys, &id[..63], clock(), true).is_err());
    assert!(matches!(
        admin::shred(&keys, &id, clock(), false),
        Err(KeyError::InUse(_))
    ));
    admin::shred(&keys, &id, clock(), true).unwrap();
    assert!(!opened(
        open(root.path()).epochs(context("n")).as_ref(),
        &context("n"),
        &sealed
    ));
}

#[test]
fn strange_writers_and_damaged_records_are_refused() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let keys = root.path().join("keys");
    let keyring = open(root.path());
    let epochs = keyring.epochs(context("n"));
    let sealed = seal(epochs.as_ref(), &context("n"));
    let short = epochs.current().unwrap().id.short();
    let enrolled = keys.join("writers").join("edge.pub");
    let key = std::fs::read(&enrolled).unwrap();
    std::fs::write(&enrolled, format!("{}\n", "00".repeat(32))).unwrap();
    assert!(matches!(
        Keyring::open(settings(root.path()), clock),
        Err(KeyError::Signature)
    ));
    std::fs::write(&enrolled, key).unwrap();
    let path = keys.join("records").join(format!(
        "{}.record",
        hex::encode(epochs.current().unwrap().id.0)
    ));
    let mut record = std::fs::read(&path).unwrap();
    record[90] ^= 1;
    std::fs::write(&path, record).unwrap();
    let fresh = open(root.path()).epochs(context("n"));
    assert!(!opened(fresh.as_ref(), &context("n"), &sealed));
    assert!(matches!(
        fresh.epoch(short),
        Err(LookupError::Unavailable(_))
    ));
}

#[test]
fn sessions_and_the_service_secret_are_shared_by_restarts() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let (id, secret) = open(root.path()).session(&context("n")).unwrap();
    let again = open(root.path());
    assert_eq!(again.session(&context("n")).unwrap().0, id);
    let by_id = again.session_by_id(&context("n"), &id).unwrap();
    assert_eq!(by_id.expose(), secret.expose());
    let service = again.service(&context("n")).unwrap();
    assert_eq!(
        open(root.path()).service(&context("n")).unwrap().0,
        service.0
    );
    assert!(
        again.session_by_id(&context("n"), &service.0).is_err(),
        "another kind"
    );
}

#[test]
fn no_secret_is_on_disk_or_in_debug_output() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    let keyring = open(root.path());
    let (_, secret) = keyring.session(&context("n")).unwrap();
    let identity = offline::identity(
        &admin::identity_path(&root.path().join("keys"), "ministry"),
        &pass("ministry"),
    )
    .unwrap();
    let text = identity.to_text();
    let planted = [&secret.expose()[..16], &text.expose()[20..60]];
    let shown = format!("{keyring:?} {secret:?} {identity:?} {text:?}");
    let mut searched = 0;
    let mut folders = vec![root.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            for secret in planted {
                assert!(!holds(&bytes, secret), "{}", path.display());
                assert!(
                    !holds(&bytes, hex::encode(secret).as_bytes()),
                    "{}",
                    path.display()
                );
            }
            searched += 1;
        }
    }
    assert!(searched >= 6);
    for secret in planted {
        assert!(!holds(shown.as_bytes(), secret) && !shown.contains(&hex::encode(secret)));
    }
    // the search finds what is there
    assert!(holds(&[b"x", planted[0]].concat(), planted[0]));
}

fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}
