#!/bin/sh
# Thumbnails: the payload is a picture, the output a JPEG of at most 200 x 200. Needs ImageMagick.
#
#     jobd -w 4 -q 1000 --max-body 16MiB --memory 256MiB --timeout 30s -- ./thumbnail.sh
#     curl -s -H 'Prefer: wait=30' --data-binary @cat.png localhost:8080/do >cat.jpg
exec convert -limit memory 256MiB - -auto-orient -thumbnail '200x200>' -strip jpeg:-
