#!/bin/sh
# kubeadm writes the kubelet's files while it waits for the kubelet to answer: start as soon as they are there.
flags="$kubelet/kubeadm-flags.env"
until [ -s "$kubelet/config.yaml" ] && [ -s "$$flags" ] && [ -s "$kubernetes_etc/kubelet.conf" ]; do sleep 0.1; done
. "$$flags"
eval exec "$binaries/kubelet" --config="$kubelet/config.yaml" --kubeconfig="$kubernetes_etc/kubelet.conf" \
    --bootstrap-kubeconfig="$kubernetes_etc/bootstrap-kubelet.conf" "$$KUBELET_KUBEADM_ARGS"
