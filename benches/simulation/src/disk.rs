//! The spool's disk in memory: it outlives its process, fills up, and keeps only the beginning of what was being written in a crash.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use rand::Rng as _;
use trunkline_stores::spool::{Disk, Mark, SpoolError};

use crate::world::{Asked, Lost, Node, State, World};

/// What lies on one disk.
#[derive(Default)]
pub struct Platter {
    /// Segments by number.
    pub segments: BTreeMap<u64, Vec<u8>>,
    /// It takes nothing more.
    pub full: bool,
    /// Writes so far.
    pub written: u64,
}

/// The disk as one process sees it.
pub struct MemoryDisk {
    world: World,
    node: Node,
}

impl MemoryDisk {
    /// The disk for one life of a process.
    pub fn new(world: &World, node: Node) -> MemoryDisk {
        MemoryDisk {
            world: world.clone(),
            node,
        }
    }

    fn platter<T>(&self, look: impl FnOnce(&mut Platter) -> T) -> T {
        look(&mut self.world.state().disks[self.node.number])
    }

    /// `begins` makes the segment. What a process that died had still under way finds the segment removed by the next one, and then it goes nowhere, as it
    /// does in a file without a name; it makes no segment.
    async fn write(&self, what: String, number: u64, begins: bool, text: &[u8]) -> io::Result<()> {
        let (text, place) = (text.to_vec(), self.node.number);
        let written = self.world.ask(self.node, Asked::Ordered, what, move |state: &mut State| {
            let is_torn = state.disks[place].full || state.dying && state.chance.random_bool(0.7);
            let until = if is_torn {
                state.chance.random_range(0..text.len())
            } else {
                text.len()
            };
            state.disks[place].written += 1;
            let segments = &mut state.disks[place].segments;
            if segments.contains_key(&number) == begins {
                return Err(if begins {
                    io::ErrorKind::AlreadyExists
                } else {
                    io::ErrorKind::NotFound
                }
                .into());
            }
            segments.entry(number).or_default().extend_from_slice(&text[..until]);
            if is_torn {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left"));
            }
            Ok(())
        });
        written.await.map_err(lost)?
    }
}

fn lost(lost: Lost) -> io::Error {
    io::Error::other(match lost {
        Lost::Refused => "input/output error",
        Lost::Unknown => "input/output error on flush",
    })
}

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

#[async_trait]
impl Disk for MemoryDisk {
    fn numbers(&self) -> Result<Vec<u64>, SpoolError> {
        Ok(self.platter(|platter| platter.segments.keys().copied().collect()))
    }

    fn whole(&self, number: u64) -> io::Result<Bytes> {
        self.platter(|platter| platter.segments.get(&number).cloned().map(Bytes::from).ok_or_else(missing))
    }

    async fn piece(&self, number: u64, from: u64, to: u64) -> io::Result<Bytes> {
        let place = self.node.number;
        let what = format!("spool reads {number} from {from} to {to}");
        let read = self.world.ask(self.node, Asked::Read, what, move |state| {
            let segment = state.disks[place].segments.get(&number).ok_or_else(missing)?;
            let piece = segment.get(from as usize..to as usize).ok_or_else(missing)?;
            Ok(Bytes::copy_from_slice(piece))
        });
        read.await.map_err(lost)?
    }

    async fn begin(&self, number: u64, text: &[u8]) -> io::Result<()> {
        let written = self
            .write(format!("spool begins {number} with {} bytes", text.len()), number, true, text)
            .await;
        // As far as the disk lets: sometimes it does not.
        if written.is_err() && self.world.draw(|chance| chance.random_bool(0.8)) {
            self.platter(|platter| platter.segments.remove(&number));
        }
        written
    }

    async fn add(&self, number: u64, text: &[u8]) -> io::Result<()> {
        self.write(format!("spool adds {} bytes to {number}", text.len()), number, false, text)
            .await
    }

    fn cut(&self, number: u64, length: u64) -> io::Result<()> {
        if self.world.draw(|chance| chance.random_bool(0.2)) {
            return Err(io::Error::other("input/output error"));
        }
        self.platter(|platter| {
            let segment = platter.segments.get_mut(&number).ok_or_else(missing)?;
            segment.truncate(length as usize);
            Ok(())
        })
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        self.platter(|platter| platter.segments.remove(&number).map(drop).ok_or_else(missing))
    }

    fn set_apart(&self, name: &str, _: &[u8]) -> io::Result<()> {
        self.world.note(&format!("{} sets {name} apart", self.node));
        Ok(())
    }

    fn mark(&self) -> Mark {
        self.world.draw(|chance| chance.random())
    }

    fn path(&self, number: u64) -> PathBuf {
        PathBuf::from(format!("spool-{}/{number}", self.node.number))
    }
}
