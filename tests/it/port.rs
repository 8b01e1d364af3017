//! Servers of our own: each is gone with what it served.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A port of this machine that is listened on until this is dropped: thousands of them, one after the other, would use up the
/// files that a process may have open.
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    closed: Arc<AtomicBool>,
}

impl Port {
    /// Hands each connection to `serve`, one after the other.
    pub(crate) fn open(mut serve: impl FnMut(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let closed = Arc::new(AtomicBool::new(false));
        let is_closed = closed.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_closed.load(Ordering::SeqCst) {
                    return;
                }
                serve(stream);
            }
        });
        Self { address, closed }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // The thread waits for a connection, and this is one.
        let _ = TcpStream::connect(self.address);
    }
}
