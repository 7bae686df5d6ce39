//! Sources that know a service, against the real software.
//!
//! Each server is started by the test itself, in a folder of its own, and ends with it.

mod containers;
mod docker_volume;
mod drill;
mod entries;
mod http;
mod mariadb;
mod n8n;
mod postgres;
mod postgres_container;
mod prometheus;
mod qdrant;
mod rabbitmq;
mod redis;
mod s3;
mod telling;
