//! A wire to a server, which can be cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Carries connections to a port of this machine.
pub(crate) struct Wire {
    port: u16,
    state: Arc<State>,
}

struct State {
    /// So many bytes of answers pass before all connections break.
    limit: AtomicUsize,
    is_cut: AtomicBool,
    /// How many bytes of answers have passed.
    carried: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Wire {
    /// Lays one to `port`.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            limit: AtomicUsize::new(usize::MAX),
            is_cut: AtomicBool::new(false),
            carried: AtomicUsize::new(0),
            open: Mutex::default(),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                connect(client, port, &shared);
            }
        });
        Self { port: own, state }
    }

    /// Returns the port of its near end.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Has the connections break, and those that come later, after so many bytes of answers more.
    pub(crate) fn break_after(&self, bytes: usize) {
        self.state.limit.store(self.carried().saturating_add(bytes), Ordering::SeqCst);
    }

    /// Returns how many bytes of answers it has carried so far.
    pub(crate) fn carried(&self) -> usize {
        self.state.carried.load(Ordering::SeqCst)
    }

    /// Breaks all connections, and those that are still to come.
    pub(crate) fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub(crate) fn mend(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
        self.break_after(usize::MAX);
    }
}

fn connect(client: TcpStream, port: u16, state: &Arc<State>) {
    let mut open = state.open.lock().unwrap();
    if state.is_cut.load(Ordering::SeqCst) {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
    open.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
    let (mut question, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut question, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let state = state.clone();
    std::thread::spawn(move || answer(server, client, &state));
}

fn answer(mut server: TcpStream, mut client: TcpStream, state: &State) {
    let left = || {
        let carried = state.carried.load(Ordering::SeqCst);
        state.limit.load(Ordering::SeqCst).saturating_sub(carried)
    };
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = server.read(&mut buffer[..left().min(1024)]) {
        if client.write_all(&buffer[..read]).is_err() {
            break;
        }
        state.carried.fetch_add(read, Ordering::SeqCst);
    }
    let _ = (server.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both));
}
