//! The files of an imaginary prefecture: what a user would not want a provider to read. Made, not random: two demos
//! store the same bytes.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use bytes::Bytes;

/// S3's smallest part, but for the last.
pub const PART: usize = 5 << 20;

pub struct File {
    /// The path below the tree's root, and the object's key.
    pub key: &'static str,
    pub content_type: &'static str,
    /// User metadata that goes with the object, in ASCII.
    pub marking: &'static str,
    pub bytes: Bytes,
}

/// In order of key.
pub fn make() -> Vec<File> {
    let file = |key, content_type, marking, bytes: Vec<u8>| File {
        key,
        content_type,
        marking,
        bytes: bytes.into(),
    };
    vec![
        file(
            "Archives/courriels 2025.mbox",
            "application/mbox",
            "Diffusion Restreinte - cabinet",
            mailbox().into_bytes(),
        ),
        file(
            "Budget/exécution 2026.csv",
            "text/csv; charset=utf-8",
            "Usage interne - bureau du budget",
            budget().into_bytes(),
        ),
        file(
            "Courriers/brouillon.txt",
            "text/plain",
            "Usage interne - brouillon vide",
            Vec::new(),
        ),
        file(
            "Courriers/note de service 2026-114.txt",
            "text/plain; charset=utf-8",
            "Diffusion Restreinte - ressources humaines",
            NOTE.as_bytes().to_vec(),
        ),
        file(
            "Marchés publics/offres.json",
            "application/json",
            "Secret des affaires - lot 3",
            offers().into_bytes(),
        ),
        file(
            "Plans/bâtiment A.bmp",
            "image/bmp",
            "Diffusion Restreinte - plans des locaux",
            plan(),
        ),
        file(
            "Réunions/procès-verbal.fodt",
            "application/vnd.oasis.opendocument.text",
            "Usage interne - conseil du 12 novembre",
            minutes().into_bytes(),
        ),
    ]
}

/// # Errors
/// A folder or file can't be made.
pub fn write(root: &Path, files: &[File]) -> io::Result<()> {
    for file in files {
        let path = root.join(file.key);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, &file.bytes)?;
    }
    Ok(())
}

/// Knuth's 64-bit linear congruence: repeatable choices, nothing secret.
struct Choice(u64);

impl Choice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let n = self.below(list.len() as u64) as usize;
        list.get(n).copied().unwrap_or_default()
    }
}

const SERVICES: [&str; 6] = [
    "Secrétariat général",
    "Direction des ressources humaines",
    "Bureau du budget et de la commande publique",
    "Direction de la citoyenneté et de la légalité",
    "Service interministériel de défense et de protection civile",
    "Direction des systèmes d'information",
];
const PEOPLE: [&str; 8] = [
    "Aurélie Lefèvre",
    "Mehdi Benali",
    "Françoise Guérin",
    "Loïc Kermadec",
    "Inès Castagné",
    "Théo Vasseur",
    "Solène Haddad",
    "Gaëtan Müller",
];
const SUBJECTS: [&str; 6] = [
    "Arrêté préfectoral : projet pour relecture",
    "Demande de titre de séjour, pièces manquantes",
    "Ordre du jour de la commission départementale",
    "Recours gracieux reçu ce matin",
    "Visite ministérielle : dispositif et accès",
    "Avenant au marché de nettoyage des locaux",
];

const NOTE: &str = "\
PRÉFECTURE — SECRÉTARIAT GÉNÉRAL
Note de service n° 2026-114                                        DIFFUSION RESTREINTE

Objet : réorganisation du bureau des ressources humaines au 1er janvier 2027

À compter du 1er janvier 2027, les dossiers individuels des agents sont instruits par un pôle unique,
placé sous l'autorité de la secrétaire générale adjointe. Les chefs de service transmettent avant le
15 décembre la liste nominative des agents concernés, leur quotité de travail et les congés déjà accordés.

Les entretiens avec les agents dont le poste est supprimé ont lieu du 18 au 22 décembre, salle Marianne.
La présente note n'est pas affichée. Elle est remise en main propre contre signature.

Pour le préfet et par délégation,
la secrétaire générale
";

fn budget() -> String {
    let mut choice = Choice(2026);
    let mut text =
        String::from("Engagement;Date;Service;Imputation;Bénéficiaire;Montant TTC;Visa\r\n");
    for line in 1..=6_000 {
        let _ = write!(
            text,
            "EJ-2026-{line:05};2026-{:02}-{:02};{};0354-{:02}-{:02};{};{}.{:02};{}\r\n",
            1 + choice.below(12),
            1 + choice.below(28),
            choice.of(&SERVICES),
            1 + choice.below(9),
            1 + choice.below(40),
            choice.of(&PEOPLE),
            50 + choice.below(90_000),
            choice.below(100),
            choice.of(&["visé", "en attente", "refusé"]),
        );
    }
    text
}

fn offers() -> String {
    let mut choice = Choice(3);
    let mut text = String::from("{\n  \"marché\": \"2026-PREF-071\",\n  \"offres\": [\n");
    for line in 1..=400 {
        let end = if line == 400 { "" } else { "," };
        let _ = writeln!(
            text,
            "    {{\"pli\": {line}, \"candidat\": \"Société {} et fils\", \"montant_ht\": {}, \"note_technique\": {}, \
             \"avis\": \"{}\"}}{end}",
            choice.of(&PEOPLE),
            120_000 + choice.below(380_000),
            choice.below(61),
            choice.of(&[
                "offre anormalement basse",
                "régulière",
                "irrégulière, à régulariser"
            ]),
        );
    }
    text.push_str("  ]\n}\n");
    text
}

/// A flat OpenDocument text: office suites open it.
fn minutes() -> String {
    let mut choice = Choice(12);
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <office:document xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" \
         xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\" office:version=\"1.3\" \
         office:mimetype=\"application/vnd.oasis.opendocument.text\">\n<office:body><office:text>\n\
         <text:h text:outline-level=\"1\">Procès-verbal de la réunion de direction du 12 novembre 2026</text:h>\n",
    );
    for point in 1..=60 {
        let _ = writeln!(
            text,
            "<text:p>{point}. {} rapporte pour « {} » : {}. Décision : {}.</text:p>",
            choice.of(&PEOPLE),
            choice.of(&SERVICES),
            choice.of(&SUBJECTS),
            choice.of(&[
                "adopté à l'unanimité",
                "ajourné",
                "rejeté, sept voix contre cinq"
            ]),
        );
    }
    text.push_str("</office:text></office:body></office:document>\n");
    text
}

/// A mailbox of more than one part, whose last part is a short one.
fn mailbox() -> String {
    const LENGTH: usize = PART + PART / 3;
    let mut choice = Choice(2025);
    let mut text = String::with_capacity(LENGTH + 1024);
    while text.len() < LENGTH {
        let from = choice.of(&PEOPLE);
        let day = 1 + choice.below(28);
        let _ = write!(
            text,
            "From - Mon Nov {day:2} 09:{:02}:00 2025\nFrom: {from} <cabinet@prefecture.example.fr>\nTo: {}\n\
             Subject: {}\nMessage-ID: <{}.{day}@prefecture.example.fr>\nContent-Type: text/plain; charset=utf-8\n\n\
             Bonjour,\n\nVeuillez trouver ci-joint le dossier n° {}, à traiter par « {} » avant le {day} novembre.\n\
             Merci de ne pas le faire circuler.\n\nCordialement,\n{from}\n\n",
            choice.below(60),
            choice.of(&PEOPLE),
            choice.of(&SUBJECTS),
            choice.below(1 << 30),
            choice.below(100_000),
            choice.of(&SERVICES),
        );
    }
    text
}

/// A floor plan: an uncompressed bitmap of 24 bits, walls and doors on white. Its pattern would show through any
/// encryption that seals equal blocks equally.
fn plan() -> Vec<u8> {
    const WIDTH: u32 = 960;
    const HEIGHT: u32 = 720;
    const PIXELS: u32 = WIDTH * HEIGHT * 3;
    let mut bytes = Vec::with_capacity(54 + PIXELS as usize);
    bytes.extend_from_slice(b"BM");
    for field in [
        54 + PIXELS,
        0,
        54,
        40,
        WIDTH,
        HEIGHT,
        0x0018_0001,
        0,
        PIXELS,
        2835,
        2835,
        0,
        0,
    ] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let wall = (x % 160 < 6 && y % 240 > 40) || y % 240 < 6;
            let stairs = x > 800 && y > 480 && (x + y) % 16 < 3;
            let pixel = match (wall, stairs) {
                (true, _) => [0x40, 0x30, 0x20],
                (_, true) => [0x20, 0x60, 0xC0],
                _ => [0xFA, 0xFA, 0xF5],
            };
            bytes.extend_from_slice(&pixel);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_has_every_kind_of_file() {
        let files = make();
        assert!(files.windows(2).all(|pair| pair[0].key < pair[1].key));
        let length = |key: &str| {
            let file = files.iter().find(|file| file.key.ends_with(key));
            file.unwrap().bytes.len()
        };
        assert!(length("mbox") > PART, "goes up in parts");
        assert_eq!(length("brouillon.txt"), 0);
        assert!(length("note de service 2026-114.txt") < 4096);
        assert!(length("bmp") > 16 * 65_536, "many segments");
        for file in &files {
            assert!(file.marking.is_ascii() && file.marking.len() >= 16);
        }
        let offers = files
            .iter()
            .find(|file| file.key.ends_with("json"))
            .unwrap();
        serde_json::from_slice::<serde_json::Value>(&offers.bytes).unwrap();
    }
}
