// Stands in for k3s where its image cannot be had: what it promises to whoever runs it, and nothing of Kubernetes.
//
// It reads the files and arguments that k3s reads, runs a containerd where k3s runs one, writes a kubeconfig, answers for
// nodes and pods over TLS to holders of that kubeconfig alone, and admits agents that know the token. A pod has run once its
// image is in the node's store and the names that it asks for resolve. `--stand-in=KIND` makes it fail as k3s can.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	data       = "/var/lib/rancher/k3s"
	kubeconfig = "/etc/rancher/k3s/k3s.yaml"
	registries = "/etc/rancher/k3s/registries.yaml"
	socket     = "/run/k3s/containerd/containerd.sock"
)

// What was said on the command line, by flag.
var flags = map[string][]string{}

func flag(name string) string {
	if values := flags[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

func say(level, format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "time=%q level=%s msg=%q\n", time.Now().UTC().Format(time.RFC3339), level, fmt.Sprintf(format, arguments...))
}

func die(format string, arguments ...any) {
	say("fatal", format, arguments...)
	os.Exit(1)
}

func must[T any](value T, err error) T {
	if err != nil {
		die("%v", err)
	}
	return value
}

func main() {
	if len(os.Args) < 2 {
		die("server or agent?")
	}
	for _, argument := range os.Args[2:] {
		name, value, _ := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
		flags[name] = append(flags[name], value)
	}
	if os.Getpid() != 1 {
		die("not the first process, so no cgroup of its own")
	}
	say("info", "Starting k3s stand-in, %s", os.Args[1])
	if flag("stand-in") == "dies" {
		time.Sleep(300 * time.Millisecond)
		die("starting kubernetes: preparing server: bootstrap data already found")
	}
	token := strings.TrimSpace(string(must(os.ReadFile(flag("token-file")))))
	if len(token) < 16 || flag("node-name") == "" {
		die("no token, or no node name")
	}
	must(os.ReadFile(registries))
	switch os.Args[1] {
	case "server":
		server(token)
	case "agent":
		agent(token)
	default:
		die("no such command: %s", os.Args[1])
	}
}

// Runs containerd where k3s runs it, without what serves a kubelet, whose pods' logs are made up.
func containerd() {
	pod := "/var/log/pods/kube-system_coredns_0/coredns"
	must(0, os.MkdirAll(pod, 0o755))
	must(0, os.WriteFile(filepath.Join(pod, "0.log"), []byte("stands in\n"), 0o600))
	root := filepath.Join(data, "agent/containerd")
	must(0, os.MkdirAll(root, 0o755))
	must(0, os.MkdirAll(filepath.Dir(socket), 0o755))
	config := filepath.Join(data, "agent/containerd.toml")
	must(0, os.WriteFile(config, []byte("version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"), 0o600))
	log := must(os.Create(filepath.Join(root, "containerd.log")))
	command := exec.Command("/usr/bin/containerd", "--config", config, "--address", socket, "--root", root, "--state", "/run/k3s/containerd")
	command.Stdout, command.Stderr = log, log
	must(0, command.Start())
	go func() { die("containerd ended: %v", command.Wait()) }()
}

// --- the server ------------------------------------------------------------------------------------------------------------

type object = map[string]any

type cluster struct {
	sync.Mutex
	token string
	began time.Time
	nodes []string
	pods  map[string]object
}

func server(token string) {
	authority, key := certificateAuthority()
	names := append([]string{"localhost", "127.0.0.1", flag("node-name")}, flags["tls-san"]...)
	serving := issue(authority, key, "k3s", names)
	state := &cluster{token: token, began: time.Now(), nodes: []string{flag("node-name")}, pods: map[string]object{}}

	pool := x509.NewCertPool()
	pool.AddCert(authority)
	config := &tls.Config{Certificates: []tls.Certificate{serving}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven}
	listener := must(tls.Listen("tcp", ":6443", config))
	go func() { die("%v", (&http.Server{Handler: state}).Serve(listener)) }()
	containerd()
	if flag("stand-in") != "silent" {
		time.Sleep(500 * time.Millisecond)
		writeKubeconfig(authority, issue(authority, key, "system:admin", nil))
	}
	say("info", "Wrote kubeconfig %s", kubeconfig)
	select {}
}

func (c *cluster) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	c.Lock()
	defer c.Unlock()
	if request.URL.Path == "/v1-k3s/join" {
		c.join(answer, request)
		return
	}
	if len(request.TLS.PeerCertificates) == 0 {
		reply(answer, 401, status(401, "Unauthorized"))
		return
	}
	switch path, pod := request.URL.Path, strings.TrimPrefix(request.URL.Path, "/api/v1/namespaces/default/pods"); {
	case path == "/readyz" && time.Since(c.began) < 1500*time.Millisecond:
		http.Error(answer, "[-]poststarthook/rbac/bootstrap-roles failed: reason withheld", 500)
	case path == "/readyz":
		fmt.Fprint(answer, "ok")
	case path == "/api/v1/nodes":
		items := []object{}
		for _, name := range c.nodes {
			condition := object{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
			items = append(items, object{"metadata": object{"name": name}, "status": object{"conditions": []object{condition}}})
		}
		reply(answer, 200, object{"apiVersion": "v1", "kind": "NodeList", "metadata": object{"resourceVersion": "1"}, "items": items})
	case pod == "" && request.Method == http.MethodPost:
		var created object
		must(0, json.NewDecoder(request.Body).Decode(&created))
		c.pods[created["metadata"].(object)["name"].(string)] = created
		reply(answer, 201, created)
	case pod != path && strings.HasSuffix(pod, "/log"):
		_, why := c.progress(strings.TrimSuffix(strings.TrimPrefix(pod, "/"), "/log"))
		fmt.Fprintln(answer, why)
	case pod != path && c.pods[strings.TrimPrefix(pod, "/")] != nil:
		name := strings.TrimPrefix(pod, "/")
		found := c.pods[name]
		state, _ := c.progress(name)
		image := image(found)
		found["status"] = object{"phase": "Pending", "containerStatuses": []object{{
			"name": "c", "image": image, "imageID": image, "ready": false, "restartCount": 0, "state": state,
		}}}
		if request.Method == http.MethodDelete {
			delete(c.pods, name)
		}
		reply(answer, 200, found)
	default:
		reply(answer, 404, status(404, "the stand-in has no "+path))
	}
}

func (c *cluster) join(answer http.ResponseWriter, request *http.Request) {
	if request.Header.Get("Authorization") != "Bearer "+c.token {
		http.Error(answer, "Node password rejected", 401)
		return
	}
	name := request.URL.Query().Get("node")
	for _, known := range c.nodes {
		if known == name {
			return
		}
	}
	c.nodes = append(c.nodes, name)
	say("info", "%s has joined", name)
}

// The state of a pod's container, and what it said.
func (c *cluster) progress(name string) (object, string) {
	pod := c.pods[name]
	if pod == nil {
		return object{"waiting": object{"reason": "NotFound"}}, ""
	}
	stored, _ := exec.Command("/usr/bin/ctr", "--address", socket, "--namespace=k8s.io", "images", "list", "--quiet").Output()
	if !strings.Contains("\n"+string(stored), "\n"+image(pod)+"\n") {
		return object{"waiting": object{"reason": "ErrImagePull", "message": "no such image: " + image(pod)}}, ""
	}
	for _, argument := range container(pod)["command"].([]any) {
		name := argument.(string)
		if !strings.HasSuffix(name, ".ferry") {
			continue
		}
		if _, err := net.LookupHost(name + "."); err != nil {
			return object{"running": object{}}, name + " does not resolve: " + err.Error()
		}
	}
	return object{"terminated": object{"exitCode": 0, "reason": "Completed"}}, ""
}

func container(pod object) object {
	return pod["spec"].(object)["containers"].([]any)[0].(object)
}

func image(pod object) string {
	return container(pod)["image"].(string)
}

func reply(answer http.ResponseWriter, code int, body object) {
	answer.Header().Set("Content-Type", "application/json")
	answer.WriteHeader(code)
	json.NewEncoder(answer).Encode(body)
}

func status(code int, message string) object {
	return object{"apiVersion": "v1", "kind": "Status", "metadata": object{}, "status": "Failure", "code": code, "message": message, "reason": "x"}
}

// --- its certificates ------------------------------------------------------------------------------------------------------

// The cluster's own, which a restart finds again, as kubeconfigs outlive restarts.
func certificateAuthority() (*x509.Certificate, *ecdsa.PrivateKey) {
	path := filepath.Join(data, "server/tls/ca.pem")
	if text, err := os.ReadFile(path); err == nil {
		first, rest := pem.Decode(text)
		second, _ := pem.Decode(rest)
		return must(x509.ParseCertificate(first.Bytes)), must(x509.ParseECPrivateKey(second.Bytes))
	}
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := template("k3s-server-ca")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	signed := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	must(0, os.MkdirAll(filepath.Dir(path), 0o700))
	must(0, os.WriteFile(path, append(certificatePem(signed), keyPem(key)...), 0o600))
	return must(x509.ParseCertificate(signed)), key
}

func issue(authority *x509.Certificate, authorityKey *ecdsa.PrivateKey, name string, hosts []string) tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := template(name)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		if address := net.ParseIP(host); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	signed := must(x509.CreateCertificate(rand.Reader, template, authority, &key.PublicKey, authorityKey))
	return tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key}
}

func template(name string) *x509.Certificate {
	serial := must(rand.Int(rand.Reader, big.NewInt(1<<62)))
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func certificatePem(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPem(key *ecdsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: must(x509.MarshalECPrivateKey(key))})
}

func writeKubeconfig(authority *x509.Certificate, admin tls.Certificate) {
	encode := base64.StdEncoding.EncodeToString
	var text bytes.Buffer
	fmt.Fprintf(&text, `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: https://127.0.0.1:6443
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
users:
- name: default
  user:
    client-certificate-data: %s
    client-key-data: %s
`, encode(certificatePem(authority.Raw)), encode(certificatePem(admin.Certificate[0])), encode(keyPem(admin.PrivateKey.(*ecdsa.PrivateKey))))
	must(0, os.WriteFile(kubeconfig, text.Bytes(), 0o600))
}

// --- an agent --------------------------------------------------------------------------------------------------------------

func agent(token string) {
	containerd()
	if flag("stand-in") == "never-joins" {
		for {
			say("error", "failed to get CA certs: Get %q: context deadline exceeded", flag("server")+"/cacerts")
			time.Sleep(time.Second)
		}
	}
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for {
		request := must(http.NewRequest(http.MethodPost, flag("server")+"/v1-k3s/join?node="+flag("node-name"), nil))
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := client.Do(request)
		if err == nil && answer.StatusCode == 200 {
			break
		}
		if err == nil && answer.StatusCode == 401 {
			die("Node password rejected")
		}
		say("info", "Waiting to retrieve agent configuration; server is not ready: %v", err)
		time.Sleep(200 * time.Millisecond)
	}
	say("info", "k3s agent is up and running")
	select {}
}
