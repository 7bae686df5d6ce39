//! Sources that know a service, against the real software.
//!
//! Each server is started by the test itself, in a folder of its own, and ends with it. The tests of `examples/` start
//! the same ones.

mod ca_file;
mod containers;
mod docker_volume;
mod drill;
mod entries;
mod faults;
mod http;
mod killed;
mod mariadb;
pub mod n8n;
mod n8n_container;
pub mod postgres;
mod postgres_container;
mod prometheus;
pub mod qdrant;
pub mod rabbitmq;
mod redis;
pub mod s3;
mod telling;
mod unfit;
