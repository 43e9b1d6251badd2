//! A small disk that can really be full.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

use super::{missing, peer};

/// A file system of a few megabytes in memory, which only the processes see that are sent there.
///
/// It lives in a mount namespace, which a process keeps open, and ends with it.
pub(crate) struct Disk {
    folder: TempDir,
    keeper: Child,
    /// How to get where it is seen.
    enter: Vec<String>,
}

impl Disk {
    /// Mounts one of `megabytes`, or returns `None` after one printed line where neither this user
    /// nor the root of a user namespace may mount anything.
    ///
    /// # Panics
    ///
    /// Panics instead of returning `None` if `DEPLOYCTL_REQUIRE_PEERS` is 1.
    pub(crate) fn mount(megabytes: usize) -> Option<Self> {
        let (unshare, nsenter) = (peer("unshare")?, peer("nsenter")?);
        let folder = TempDir::new().unwrap();
        let ways: [(&[&str], &[&str]); 2] =
            [(&[], &[]), (&["--map-root-user"], &["--user", "--preserve-credentials"])];
        for (options, entering) in ways {
            let Some(keeper) = keep(&unshare, options, folder.path(), megabytes) else { continue };
            let enter =
                [nsenter.to_str().unwrap(), "--mount", "--target", &keeper.id().to_string()];
            let enter = enter.iter().chain(entering).map(|&text| text.to_owned()).collect();
            return Some(Self { folder, keeper, enter });
        }
        missing("this user may mount nothing");
        None
    }

    /// Returns its folder, as the processes know it that are sent there.
    pub(crate) fn folder(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).unwrap()
    }

    /// Returns its folder, as this process sees it.
    fn seen(&self) -> Utf8PathBuf {
        format!("/proc/{}/root{}", self.keeper.id(), self.folder()).into()
    }

    /// Returns `command`, whose environment is all its own, as a process that sees the disk.
    pub(crate) fn send(&self, command: &Command) -> Command {
        let mut sent = Command::new(&self.enter[0]);
        sent.args(&self.enter[1..]).arg("env");
        if let Some(folder) = command.get_current_dir() {
            sent.arg("-C").arg(folder);
        }
        sent.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null()).env_clear();
        sent.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        sent
    }

    /// Fills the disk but for `room` bytes.
    pub(crate) fn fill(&self, room: u64) {
        let mut file = File::create(self.seen().join("filler")).unwrap();
        let page = [0; 4096];
        while file.write_all(&page).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(room)).unwrap();
    }

    /// Makes room again.
    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.seen().join("filler")).unwrap();
    }

    /// Makes it empty.
    pub(crate) fn empty(&self) {
        for entry in self.seen().read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            let gone = if path.is_dir() { std::fs::remove_dir_all } else { std::fs::remove_file };
            gone(path.as_std_path()).unwrap();
        }
    }

    /// Returns the files on it, from its folder.
    pub(crate) fn files(&self) -> Vec<Utf8PathBuf> {
        let (root, mut files) = (self.seen(), Vec::new());
        let mut open = vec![root.clone()];
        while let Some(folder) = open.pop() {
            for entry in folder.read_dir_utf8().unwrap() {
                let path = entry.unwrap().into_path();
                match path.is_dir() {
                    true => open.push(path),
                    false => files.push(path.strip_prefix(&root).unwrap().to_owned()),
                }
            }
        }
        files
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Returns a process that has mounted the disk at `folder` for itself, or `None` if it may not. It
/// ends with this process at the latest, as its standard input does.
fn keep(unshare: &Path, options: &[&str], folder: &Path, megabytes: usize) -> Option<Child> {
    let script = "mount -t tmpfs -o \"size=$1,mode=0700\" tmpfs \"$2\" && echo mounted && exec cat";
    let mut command = Command::new(unshare);
    command.arg("--mount").args(options).args(["sh", "-c", script, "sh"]);
    command.arg(format!("{megabytes}m")).arg(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut keeper = command.spawn().unwrap();
    let mut told = String::new();
    BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut told).unwrap();
    if told == "mounted\n" {
        return Some(keeper);
    }
    let _ = (keeper.kill(), keeper.wait());
    None
}
