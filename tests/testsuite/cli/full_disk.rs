//! A disk that is full: nothing is pushed, the reason is told, and with room it goes on.

use super::shop::{DIGEST, Shop};
use crate::support::{Disk, Ran};

/// How much room there is, in bytes: too little for a cache, for a pack, for its index, for what is
/// written, and enough.
const ROOMS: [u64; 6] = [0, 16 << 10, 48 << 10, 64 << 10, 96 << 10, 3 << 20];

fn set(shop: &Shop, disk: &Disk, tag: &str) -> Ran {
    let image = format!("ranking=:{tag}@{DIGEST}");
    let mut command = shop.world.command(&["set", "--env", "dev", &image]);
    command.env("DEPLOYCTL_CACHE_DIR", disk.folder());
    Ran::of(&mut disk.send(&command))
}

/// Returns a shop among others, whose server knows filters or not.
fn shop(filters: bool) -> Shop {
    let shop = Shop::new();
    // What does not become smaller in a pack.
    let noise = |seed: u64| {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut text = String::new();
        for _ in 0..120 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push_str(&format!("{state:016x}\n"));
        }
        text
    };
    let files: Vec<_> = (0..200).map(|n| (format!("apps/s{n}/dev/k.yaml"), noise(n))).collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    shop.manifests.commit("main", &files);
    shop.manifests.git(&["config", "uploadpack.allowFilter", &filters.to_string()]);
    shop.configure(&format!("file://{}", shop.manifests.path()), "");
    shop
}

/// Has the disk run full at each of [`ROOMS`]; `cold` says whether there is no cache before.
fn runs_full(filters: bool, cold: bool) {
    let Some(disk) = Disk::mount(4) else { return };
    let shop = shop(filters);
    let tip = || shop.manifests.git(&["rev-parse", "main"]);
    let (mut refused, mut landed) = (0, 0);
    for room in ROOMS {
        if cold {
            disk.empty();
        } else {
            assert_eq!(set(&shop, &disk, &format!("before-{room}")).code, 0);
            shop.manifests.commit("main", &[("apps/s1/dev/k.yaml", &format!("{room}\n"))]);
        }
        let (before, tag) = (tip(), format!("room-{room}"));
        disk.fill(room);
        let ran = set(&shop, &disk, &tag);
        if ran.code == 0 {
            landed += 1;
            assert!(shop.overlay("dev").contains(&tag), "{room}: {ran:#?}");
        } else {
            refused += 1;
            assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{room}: {ran:#?}");
            let told = format!("there is no room for the git cache `{}/", disk.folder());
            assert!(ran.stderr.contains(&told), "{room}: {ran:#?}");
            assert!(ran.stderr.contains(": No space left on device"), "{room}: {ran:#?}");
            assert!(ran.stderr.contains("hint: free some space"), "{room}: {ran:#?}");
            assert_eq!(tip(), before, "{room}: {ran:#?}");
        }
        disk.make_room();
        let again = set(&shop, &disk, &tag);
        assert_eq!(again.code, 0, "{room}: {again:#?}");
        assert!(shop.overlay("dev").contains(&tag), "{room}: {again:#?}");
        let half = |path: &&camino::Utf8PathBuf| path.as_str().contains("/tmp_");
        assert_eq!(disk.files().iter().find(half), None, "{room}: {ran:#?}");
    }
    assert!(refused > 0 && landed > 0, "{refused} refused, {landed} landed");
    shop.manifests.git(&["fsck", "--strict"]);
}

#[test]
fn a_first_fetch_without_files() {
    runs_full(true, true);
}

#[test]
fn a_first_fetch_of_everything() {
    runs_full(false, true);
}

#[test]
fn a_small_fetch_into_a_cache_that_is_there() {
    runs_full(true, false);
}
