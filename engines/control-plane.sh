# Answers: how do Kubernetes' own programs (engines/kubernetes, in /opt/programs) run on three hosts (engines/nodes.sh)? etcd,
# API server, controllers and scheduler on host 1, kubelet and kube-proxy on each. Sourced inside of a tree.
# shellcheck shell=bash
server=https://192.0.2.1:6443
gates=IPv6DualStack=true
service_range=10.96.0.0/16,fd00:96::/112
pod_range=198.18.0.0/20,2001:db8::/46
export KUBECONFIG=/etc/kubernetes/config

control_plane() {
    mkdir -p /etc/kubernetes/pki /var/lib/etcd
    : >/etc/resolv.conf
    openssl genrsa -out /etc/kubernetes/pki/accounts.key 2048 2>/dev/null
    echo 'secret,admin,admin,system:masters' >/etc/kubernetes/tokens
    cat >$KUBECONFIG <<CONF
apiVersion: v1
kind: Config
clusters: [{ name: here, cluster: { server: "$server", insecure-skip-tls-verify: true } }]
users: [{ name: admin, user: { token: secret } }]
contexts: [{ name: here, context: { cluster: here, user: admin } }]
current-context: here
CONF
    run_on 1 etcd /usr/bin/etcd --data-dir /var/lib/etcd
    run_on 1 apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --advertise-address=192.0.2.1 \
        --service-cluster-ip-range=$service_range --feature-gates=$gates --allow-privileged --cert-dir=/etc/kubernetes/pki \
        --token-auth-file=/etc/kubernetes/tokens --authorization-mode=AlwaysAllow --disable-admission-plugins=ServiceAccount \
        --kubelet-preferred-address-types=InternalIP --service-account-issuer=$server \
        --service-account-key-file=/etc/kubernetes/pki/accounts.key \
        --service-account-signing-key-file=/etc/kubernetes/pki/accounts.key
    until_ok 90 kube get --raw /readyz || return
    run_on 1 controllers kube-controller-manager --kubeconfig=$KUBECONFIG --leader-elect=false --feature-gates=$gates \
        --service-cluster-ip-range=$service_range --cluster-cidr=$pod_range
    run_on 1 scheduler kube-scheduler --kubeconfig=$KUBECONFIG --leader-elect=false
}

# run_on HOST NAME PROGRAM ARGUMENT...: its log is /tmp/NAME-HOST.log. Not by `ip netns exec`, which hides the cgroups below /sys.
run_on() { PATH=/opt/programs:$PATH nsenter --net="/run/netns/host$1" "${@:3}" >"/tmp/$2-$1.log" 2>&1 & }

kube() { nsenter --net=/run/netns/host1 kubectl "$@"; }

kubelet() {
    local n=$1
    settings_of_the_machine
    mkdir -p "/var/lib/kubelet/host$n"
    cat >"/etc/kubernetes/kubelet$n" <<CONF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: { anonymous: { enabled: true }, webhook: { enabled: false } }
authorization: { mode: AlwaysAllow }
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
evictionHard: { memory.available: 0% }
failSwapOn: false
featureGates: { IPv6DualStack: true, LocalStorageCapacityIsolation: false }
oomScoreAdj: 0
readOnlyPort: 0
resolvConf: ""
CONF
    run_on "$n" kubelet kubelet --config="/etc/kubernetes/kubelet$n" --kubeconfig=$KUBECONFIG --hostname-override="host$n" \
        --node-ip="192.0.2.$n" --root-dir="/var/lib/kubelet/host$n" --cert-dir="/var/lib/kubelet/host$n/pki" \
        --container-runtime=remote --container-runtime-endpoint="unix:///run/host$n/containerd.sock"
}

# kubelet sets a few of the kernel's settings that all namespaces share. Here it finds them as it wants them, in files.
settings_of_the_machine() {
    local setting
    [ ! -e /run/settings ] || return 0
    mkdir /run/settings
    for setting in vm/overcommit_memory:1 vm/panic_on_oom:0 kernel/panic:10 kernel/panic_on_oops:1 kernel/keys/root_maxkeys:1000000 \
        kernel/keys/root_maxbytes:25000000; do
        echo "${setting#*:}" >"/run/settings/$(tr / - <<<"${setting%:*}")"
        mount --bind "/run/settings/$(tr / - <<<"${setting%:*}")" "/proc/sys/${setting%:*}" || return
    done
}

kube_proxy() {
    cat >"/etc/kubernetes/proxy$1" <<CONF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: { kubeconfig: "$KUBECONFIG" }
clusterCIDR: $pod_range
conntrack: { maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s }
featureGates: { IPv6DualStack: true }
hostnameOverride: host$1
mode: iptables
oomScoreAdj: 0
CONF
    run_on "$1" proxy kube-proxy --config="/etc/kubernetes/proxy$1"
}
