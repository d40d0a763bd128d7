//! TCP: listeners and connections. Framing is the upper side's.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};

use bytes::{Buf, Bytes};
use mio::net::{TcpListener as MioListener, TcpStream};
use signaling::{ConnectionId, ListenerId};
use socket2::{Domain, Protocol, Socket, Type};

/// Bytes read at a time.
pub const READ_LEN_MAX: usize = 64 << 10;
/// Reads of one connection in one turn.
const READS_PER_TURN_MAX: usize = 4;
/// Connections the kernel holds until we take them.
const BACKLOG: i32 = 1_024;
/// Bytes that wait for a peer that does not read. Many answers fit; a peer that lets so much wait has stopped.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// Pieces given to the kernel with one call.
const PIECES_PER_WRITE: usize = 16;

/// A socket that takes connections.
pub struct TcpListener {
    pub id: ListenerId,
    pub local: SocketAddr,
    pub socket: MioListener,
}

impl TcpListener {
    pub fn bind(id: ListenerId, local: SocketAddr) -> io::Result<TcpListener> {
        let socket =
            Socket::new(Domain::for_address(local), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        if local.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Connections of a former process that are still fading away must not keep us from the port.
        socket.set_reuse_address(true)?;
        socket.bind(&local.into())?;
        socket.listen(BACKLOG)?;
        let socket = MioListener::from_std(socket.into());
        let local = socket.local_addr()?;
        Ok(TcpListener { id, local, socket })
    }
}

/// What reading came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Nothing is left for now.
    Drained,
    /// The turn's share was used up.
    More,
    /// The peer ended it, or it broke.
    Ended,
}

/// A connection, whoever opened it.
pub struct Connection {
    pub name: ConnectionId,
    pub stream: TcpStream,
    open: bool,
    waiting: VecDeque<Bytes>,
    waiting_len: usize,
}

impl Connection {
    /// One that a peer opened.
    pub fn accepted(name: ConnectionId, stream: TcpStream) -> Connection {
        // Nagle would hold back a response until the last one is acknowledged.
        let _ = stream.set_nodelay(true);
        Connection { name, stream, open: true, waiting: VecDeque::new(), waiting_len: 0 }
    }

    /// Begins to open one from `origin`; [`Connection::handle_writable`] says when it stands.
    pub fn connect(
        name: ConnectionId,
        origin: Option<IpAddr>,
        destination: SocketAddr,
    ) -> io::Result<Connection> {
        let socket =
            Socket::new(Domain::for_address(destination), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        if let Some(origin) = origin.filter(|origin| origin.is_ipv6() == destination.is_ipv6()) {
            socket.bind(&SocketAddr::new(origin, 0).into())?;
        }
        match socket.connect(&destination.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(nix::libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let stream = TcpStream::from_std(socket.into());
        Ok(Connection { open: false, ..Connection::accepted(name, stream) })
    }

    /// Whether it stands.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Finishes connecting or writes on. Gives our address when the connection has just come to stand.
    pub fn handle_writable(&mut self) -> io::Result<Option<SocketAddr>> {
        let mut stands_now = None;
        if !self.open {
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            match self.stream.peer_addr() {
                Ok(_) => {}
                // Ready for something else; the answer of the peer is still out.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(None),
                Err(error) => return Err(error),
            }
            self.open = true;
            stands_now = Some(self.stream.local_addr()?);
        }
        self.write_waiting()?;
        Ok(stands_now)
    }

    /// Sends, or puts behind what waits already. An error: it broke, or the peer has stopped reading.
    pub fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        if self.waiting_len + bytes.len() > WAITING_BYTES_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.waiting_len += bytes.len();
        self.waiting.push_back(bytes);
        if self.open { self.write_waiting() } else { Ok(()) }
    }

    /// Hands what has come to `take`, piece by piece.
    pub fn read(&mut self, buffer: &mut [u8], mut take: impl FnMut(&[u8])) -> Read {
        for _ in 0..READS_PER_TURN_MAX {
            match self.stream.read(buffer) {
                Ok(0) => return Read::Ended,
                Ok(len) => take(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Read::Drained,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Read::Ended,
            }
        }
        Read::More
    }

    fn write_waiting(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            let pieces: Vec<IoSlice<'_>> =
                self.waiting.iter().take(PIECES_PER_WRITE).map(|bytes| IoSlice::new(bytes)).collect();
            match self.stream.write_vectored(&pieces) {
                Ok(len) => self.drop_written(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn drop_written(&mut self, mut len: usize) {
        self.waiting_len -= len;
        while let Some(first) = self.waiting.front_mut() {
            if len < first.len() {
                return first.advance(len);
            }
            len -= first.len();
            self.waiting.pop_front();
        }
    }
}
