# larder in an image that holds nothing else: no shell, no root. With BuildKit (Docker 23 or newer, or DOCKER_BUILDKIT=1):
#   docker build --tag larder .
# With a static binary that is there already, from a folder that has it as `larder`, and an empty folder `empty`:
#   docker build --tag larder --target prebuilt --file Dockerfile FOLDER

FROM scratch AS bare
ENV LARDER_CONFIG=/larder.toml LARDER_CACHE=/cache
USER 65532:65532
HEALTHCHECK --interval=1m --timeout=30s --start-period=1m --retries=3 CMD ["/larder", "daemon", "--health"]
ENTRYPOINT ["/larder"]
CMD ["daemon"]

# Before the stage that builds, so that builders which take one stage after the other need no toolchain for it.
FROM bare AS prebuilt
COPY larder /larder
COPY --chown=65532:65532 empty /repository
COPY --chown=65532:65532 empty /cache

FROM rust:1.95-bookworm AS build
WORKDIR /larder
COPY . .
RUN cargo rustc --release --locked --bin larder -- -C target-feature=+crt-static -C strip=symbols && mkdir empty

FROM bare AS image
COPY --from=build /larder/target/release/larder /larder
# New volumes that are mounted there belong to whom these folders belong.
COPY --from=build --chown=65532:65532 /larder/empty /repository
COPY --from=build --chown=65532:65532 /larder/empty /cache
