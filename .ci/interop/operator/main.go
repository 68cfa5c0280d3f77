// What an operator hands out, by the official libraries for tokens and keys: `interop-operator FOLDER`.
//
//	broker.conf      a broker of this operator, that keeps accounts in FOLDER/jwt; it knows both accounts
//	system.creds     a user of the system account
//	ann.creds        a user of the account, signed by the account's own key
//	bob.creds        one signed by a signing key
//	cleo.creds       one signed by a signing key with a scope: it may publish to cleo.>, hear that and its inboxes, and answer
//	revoking.jwt     the account, issued later, that has revoked bob
//
// The suites of all languages use it, so that what they present was made by neither them nor the broker.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

// key makes a key, and tells its public half.
func key(make func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
	pair := must(make())
	return pair, must(pair.PublicKey())
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: interop-operator FOLDER")
		os.Exit(2)
	}
	folder := os.Args[1]
	write := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			must(0, err)
		}
	}

	operatorKey, operatorName := key(nkeys.CreateOperator)
	signingKey, signingName := key(nkeys.CreateOperator)
	systemKey, systemName := key(nkeys.CreateAccount)
	accountKey, accountName := key(nkeys.CreateAccount)
	plainKey, plainName := key(nkeys.CreateAccount)
	scopedKey, scopedName := key(nkeys.CreateAccount)

	operator := jwt.NewOperatorClaims(operatorName)
	operator.Name = "interop"
	operator.SigningKeys.Add(signingName)
	operator.SystemAccount = systemName

	system := jwt.NewAccountClaims(systemName)
	system.Name = "SYS"

	account := jwt.NewAccountClaims(accountName)
	account.Name = "A"
	account.SigningKeys.Add(plainName)
	scope := jwt.NewUserScope()
	scope.Key = scopedName
	scope.Role = "own"
	scope.Template = jwt.UserPermissionLimits{Limits: jwt.Limits{
		UserLimits: jwt.UserLimits{},
		NatsLimits: jwt.NatsLimits{Subs: jwt.NoLimit, Data: jwt.NoLimit, Payload: jwt.NoLimit},
	}}
	scope.Template.Pub.Allow.Add("{{name()}}.>")
	scope.Template.Sub.Allow.Add("{{name()}}.>", "_INBOX.>")
	scope.Template.Resp = &jwt.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
	account.SigningKeys.AddScopedSigner(scope)

	user := func(name string, signer nkeys.KeyPair, issuer string, isScoped bool) string {
		pair, public := key(nkeys.CreateUser)
		claims := jwt.NewUserClaims(public)
		claims.Name = name
		if issuer != must(signer.PublicKey()) {
			claims.IssuerAccount = issuer
		}
		if isScoped {
			claims.UserPermissionLimits = jwt.UserPermissionLimits{}
		}
		token := must(claims.Encode(signer))
		write(name+".creds", must(jwt.FormatUserConfig(token, must(pair.Seed()))))
		return public
	}
	user("system", systemKey, systemName, false)
	user("ann", accountKey, accountName, false)
	bob := user("bob", plainKey, accountName, false)
	user("cleo", scopedKey, accountName, true)

	conf := fmt.Sprintf("operator: %s\nresolver { type: full, dir: %q }\nresolver_preload {\n  %s: %s\n  %s: %s\n}\n",
		must(operator.Encode(operatorKey)), filepath.Join(folder, "jwt"),
		systemName, must(system.Encode(operatorKey)), accountName, must(account.Encode(signingKey)))
	write("broker.conf", []byte(conf))

	// A later one: two that were issued in one second could not be told apart.
	account.RevokeAt(bob, time.Now().Add(time.Second))
	for issued := account.IssuedAt; account.IssuedAt == issued; time.Sleep(10 * time.Millisecond) {
		write("revoking.jwt", []byte(must(account.Encode(signingKey))))
	}
}
