# jobd with a command of one's own. jobd is one file that needs no other, so it goes into any image that has what the
# command needs; here that is Python. `work` stands beside this file, and the image jobd has been built:
#
#     podman build --format docker -t queue -f Containerfile.command .
#     podman run --read-only -v jobs:/data -p 127.0.0.1:8080:8080 queue
#
# A command that needs no other file either can do with less: FROM jobd, COPY work /work, CMD ["--", "/work"].
FROM jobd AS jobd

FROM docker.io/library/python:3-slim
COPY --from=jobd /jobd /LICENSES /usr/local/bin/
COPY --from=jobd /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=jobd --chown=65532:65532 /data /data
COPY --chmod=755 work /usr/local/bin/work
USER 65532:65532
VOLUME /data
EXPOSE 8080
ENV JOBD_LISTEN=:8080 JOBD_OPEN=true JOBD_DATA=/data JOBD_ATTEMPTS=5
HEALTHCHECK CMD ["jobd", "--health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["jobd"]
CMD ["--", "work"]
