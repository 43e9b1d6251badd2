//! Programs that must not outlive the test process, however it ends.
//!
//! `setpriv --pdeathsig` has the kernel kill a child when the thread that started it ends. A test's
//! own thread ends too early, so one thread that never ends starts them all.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};

type Job = (Command, mpsc::Sender<Child>);

/// A program that is killed when this value is dropped, or the test process ends.
pub(super) struct Kept(Child);

/// Returns a command that runs `program` so that it dies with the thread that starts it.
pub(super) fn bound(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Starts a command that [`bound`] returned, its output in the file `log`.
pub(super) fn keep(mut command: Command, log: &Path) -> Kept {
    static KEEPER: OnceLock<Mutex<mpsc::Sender<Job>>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in queue {
                answer.send(command.spawn().unwrap()).unwrap();
            }
        });
        Mutex::new(jobs)
    });
    let log = File::create(log).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let (answer, child) = mpsc::channel();
    keeper.lock().unwrap().send((command, answer)).unwrap();
    Kept(child.recv().unwrap())
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
