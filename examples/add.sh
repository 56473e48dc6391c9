#!/bin/sh
# A spec from a machine that is as it should be, and a look at another one by it.
set -eu
icepak autoadd nginx /etc/nginx/nginx.conf --instance good --spec nginx.yaml
icepak add http http://127.0.0.1/ --instance good --spec nginx.yaml
icepak test --instance other --spec nginx.yaml
