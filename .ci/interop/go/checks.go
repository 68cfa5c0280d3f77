package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

var checks = []check{
	{"connect_reads_the_server_info", connectReadsTheServerInfo},
	{"publish_reaches_subscriber_in_order", publishReachesSubscriberInOrder},
	{"callback_receives_subject_reply_and_payload", callbackReceivesMessage},
	{"wildcards_match_tokens", wildcardsMatchTokens},
	{"each_queue_message_reaches_one_member_and_shares_are_fair", queueGroups},
	{"request_is_answered_by_the_responder", requestIsAnswered},
	{"request_times_out_when_nobody_answers", requestTimesOut},
	{"headers_arrive_unchanged", headersArriveUnchanged},
	{"request_without_responder_fails_at_once", noResponders},
	{"subscription_drain_hands_over_everything_then_stops", subscriptionDrain},
	{"connection_drain_handles_and_publishes_everything_then_closes", connectionDrain},
	{"subscriptions_return_after_the_broker_is_killed", func(t *Trial) { subscriptionsReturn(t, t.broker.kill, "go.killed") }},
	{"subscriptions_return_after_the_broker_is_stopped", func(t *Trial) { subscriptionsReturn(t, t.broker.stop, "go.stopped") }},
	{"publishes_during_an_outage_arrive_after_it", publishesDuringAnOutage},
	{"client_refuses_more_than_max_payload", clientRefusesLargePayload},
	{"raw_payload_violation_is_told_and_closes_only_the_culprit", rawPayloadViolation},
	{"messages_of_exactly_max_payload_arrive_intact", exactlyMaxPayload},
	{"ten_thousand_subscriptions_all_receive_their_message", tenThousandSubscriptions},
	{"auto_unsubscribe_delivers_that_many_then_stops", autoUnsubscribe},
	{"flush_and_rtt_are_answered", flushAndRTT},
	{"verbose_and_pedantic_connection_works", verboseAndPedantic},
	{"login_by_nkey", loginByNKey},
	{"tls_and_mutual_tls", tlsAndMutualTLS},
	{"certificate_is_the_user", certificateIsTheUser},
	{"handshake_first", handshakeFirst},
	{"permissions_are_told", permissionsAreTold},
	{"callout_decides", calloutDecides},
	{"callout_by_tls", calloutByTLS},
	{"web_sockets", webSockets},
	{"credentials_of_an_operator", credentials},
	{"echo_off_keeps_own_messages_away", echoOff},
}

func subscribe(nc *nats.Conn, subject string) *nats.Subscription {
	sub, err := nc.SubscribeSync(subject)
	must(err)
	return sub
}

func member(nc *nats.Conn, subject, queue string) *nats.Subscription {
	sub, err := nc.QueueSubscribeSync(subject, queue)
	must(err)
	return sub
}

func handle(nc *nats.Conn, subject string, handler nats.MsgHandler) *nats.Subscription {
	sub, err := nc.Subscribe(subject, handler)
	must(err)
	return sub
}

func flush(clients ...*nats.Conn) {
	for _, nc := range clients {
		must(nc.FlushTimeout(answerTime))
	}
}

// received is all that has arrived by now; the caller has flushed both sides first.
func received(subs ...*nats.Subscription) (taken []*nats.Msg) {
	for _, sub := range subs {
		waiting, _, err := sub.Pending()
		if errors.Is(err, nats.ErrBadSubscription) {
			continue // its limit is reached, so nothing waits
		}
		must(err)
		for range waiting {
			m, err := sub.NextMsg(answerTime)
			must(err)
			taken = append(taken, m)
		}
	}
	return taken
}

func payloads(subs ...*nats.Subscription) (taken []string) {
	for _, m := range received(subs...) {
		taken = append(taken, string(m.Data))
	}
	return taken
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// numbered texts sort in the order in which they are published.
func numbered(count int, text string) (list []string) {
	for i := range count {
		list = append(list, fmt.Sprintf("%s %05d", text, i))
	}
	return list
}

func publishAll(nc *nats.Conn, subject string, list []string) {
	for _, data := range list {
		must(nc.Publish(subject, []byte(data)))
	}
	flush(nc)
}

func connectReadsTheServerInfo(t *Trial) {
	one, two := t.connect(), t.connect()
	first, err := one.GetClientID()
	must(err)
	second, err := two.GetClientID()
	must(err)
	if first == 0 || second == 0 || first == second {
		fail("client ids %d and %d", first, second)
	}
	ip, err := one.GetClientIP()
	must(err)
	equal(ip.String(), "127.0.0.1", "client_ip")
	equal(one.MaxPayload(), int64(1024*1024), "max_payload")
	equal(one.HeadersSupported(), true, "headers")
	if one.ConnectedServerId() == "" || one.ConnectedServerId() != two.ConnectedServerId() {
		fail("server ids %q and %q", one.ConnectedServerId(), two.ConnectedServerId())
	}
	equal(one.ConnectedServerVersion() != "", true, "version is there")
}

func publishReachesSubscriberInOrder(t *Trial) {
	sub, pub := t.connect(), t.connect()
	one, two, other := subscribe(sub, "go.order"), subscribe(sub, "go.order"), subscribe(sub, "go.other")
	flush(sub)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	sent := append([]string{"", "x", "\r\n", "PUB a 1\r\nb\r\n", string(all)}, numbered(5000, "message")...)
	publishAll(pub, "go.order", sent)
	flush(sub)
	sameList(payloads(one), sent, "first subscription")
	sameList(payloads(two), sent, "second subscription")
	sameList(payloads(other), nil, "subscription to another subject")
}

func callbackReceivesMessage(t *Trial) {
	nc := t.connect()
	arrived := make(chan *nats.Msg, 2)
	handle(nc, "go.callback", func(m *nats.Msg) { arrived <- m })
	must(nc.PublishRequest("go.callback", "go.callback.answer", []byte("grüße")))
	m := await(arrived, "message")
	sameList([]string{m.Subject, m.Reply, string(m.Data)}, []string{"go.callback", "go.callback.answer", "grüße"}, "message")
}

func wildcardsMatchTokens(t *Trial) {
	var table struct {
		Subjects []string
		Receives map[string][]string
	}
	text, err := os.ReadFile(filepath.Join(t.data, "wildcards.json"))
	must(err)
	must(json.Unmarshal(text, &table))
	if len(table.Receives) == 0 || len(table.Subjects) == 0 {
		fail("the table is empty")
	}
	sub, pub := t.connect(), t.connect()
	subs := map[string]*nats.Subscription{}
	for wildcard := range table.Receives {
		subs[wildcard] = subscribe(sub, "go.wild."+wildcard)
	}
	flush(sub)
	for _, subject := range table.Subjects {
		must(pub.Publish("go.wild."+subject, []byte(subject)))
	}
	flush(pub, sub)
	for wildcard, subjects := range table.Receives {
		var found, wanted []string
		for _, m := range received(subs[wildcard]) {
			found = append(found, m.Subject+" "+string(m.Data))
		}
		for _, subject := range subjects {
			wanted = append(wanted, "go.wild."+subject+" "+subject)
		}
		sameList(found, wanted, wildcard)
	}
}

func queueGroups(t *Trial) {
	pub, observer := t.connect(), t.connect()
	everything := subscribe(observer, "go.queue.jobs")
	clients := []*nats.Conn{observer}
	groups := map[string][]*nats.Subscription{}
	for queue, size := range map[string]int{"a": 3, "b": 2} {
		for range size {
			nc := t.connect()
			clients = append(clients, nc)
			groups[queue] = append(groups[queue], member(nc, "go.queue.*", queue))
		}
	}
	flush(clients...)
	sent := numbered(3000, "job")
	publishAll(pub, "go.queue.jobs", sent)
	flush(clients...)
	sameList(payloads(everything), sent, "subscription without a queue")
	for queue, group := range groups {
		var together []string
		var sizes []int
		for _, sub := range group {
			share := payloads(sub)
			sameList(share, sorted(slices.Clone(share)), "order in queue "+queue)
			together = append(together, share...)
			sizes = append(sizes, len(share))
		}
		sameList(sorted(together), sent, "queue "+queue)
		if least := len(sent) / len(group) / 2; slices.Min(sizes) < least {
			fail("queue %s: shares %v, each must be at least %d", queue, sizes, least)
		}
	}
}

func requestIsAnswered(t *Trial) {
	server, asker := t.connect(), t.connect()
	old := t.connect(nats.UseOldRequestStyle())
	handle(server, "go.service.*", func(m *nats.Msg) { _ = m.Respond(append([]byte("re: "), m.Data...)) })
	flush(server)
	for _, nc := range []*nats.Conn{asker, old} {
		for i := range 200 {
			m, err := nc.Request(fmt.Sprintf("go.service.%d", i), fmt.Appendf(nil, "q%d", i), answerTime)
			must(err)
			equal(string(m.Data), fmt.Sprintf("re: q%d", i), "reply")
		}
	}
	var wait sync.WaitGroup
	found, wanted := make([]string, 500), make([]string, 500)
	for i := range found {
		wanted[i] = fmt.Sprintf("re: p%d", i)
		wait.Go(func() {
			m, err := asker.Request(fmt.Sprintf("go.service.%d", i), fmt.Appendf(nil, "p%d", i), answerTime)
			if err != nil {
				found[i] = err.Error()
				return
			}
			found[i] = string(m.Data)
		})
	}
	wait.Wait()
	sameList(found, wanted, "replies to requests at once")
}

// The one wait for something that must not come; it is as short as the client's own timer.
func requestTimesOut(t *Trial) {
	nc := t.connect()
	subscribe(nc, "go.mute")
	_, err := nc.Request("go.mute", []byte("?"), 200*time.Millisecond)
	if !errors.Is(err, nats.ErrTimeout) {
		fail("ended with %v", err)
	}
}

func headersArriveUnchanged(t *Trial) {
	sub, pub := t.connect(), t.connect()
	one := subscribe(sub, "go.headers")
	flush(sub)
	headers := nats.Header{
		"Repeated":   {"one", "two", "", "two"},
		"repeated":   {"lower-case is another key"},
		"Unicode":    {"žluťoučký kůň 馬 🐎", "é"},
		"Colon":      {"a: b: c"},
		"Empty":      {""},
		"lower-case": {"kept"},
	}
	must(pub.PublishMsg(&nats.Msg{Subject: "go.headers", Reply: "go.reply", Header: headers, Data: []byte("with")}))
	must(pub.PublishMsg(&nats.Msg{Subject: "go.headers", Header: nats.Header{"Only": {"header"}}}))
	must(pub.Publish("go.headers", []byte("without")))
	flush(pub, sub)
	found := received(one)
	equal(len(found), 3, "messages")
	equal(found[0].Header, headers, "headers")
	sameList([]string{found[0].Reply, string(found[0].Data)}, []string{"go.reply", "with"}, "message with headers")
	equal(found[1].Header, nats.Header{"Only": {"header"}}, "headers without payload")
	equal(string(found[1].Data), "", "payload that is empty")
	equal(len(found[2].Header), 0, "number of headers of a plain message")
	equal(string(found[2].Data), "without", "plain message")
}

func noResponders(t *Trial) {
	nc, other := t.connect(), t.connect()
	began := time.Now()
	for i := range 20 {
		m, err := nc.Request(fmt.Sprintf("go.nobody.%d", i), []byte("?"), answerTime)
		if !errors.Is(err, nats.ErrNoResponders) {
			fail("request %d ended with %v, %v", i, m, err)
		}
	}
	if took := time.Since(began); took > answerTime/2 {
		fail("twenty answers took %v", took)
	}
	var arrived []*nats.Msg
	inbox := make(chan *nats.Msg, 8)
	sub, err := nc.ChanSubscribe("go.inbox.*", inbox)
	must(err)
	defer func() { _ = sub.Unsubscribe() }()
	must(nc.PublishRequest("go.nobody.here", "go.inbox.1", []byte("?")))
	flush(nc)
	for len(inbox) > 0 {
		arrived = append(arrived, <-inbox)
	}
	equal(len(arrived), 1, "answers")
	sameList([]string{arrived[0].Subject, string(arrived[0].Data)}, []string{"go.inbox.1", ""}, "answer")
	equal(arrived[0].Header, nats.Header{"Status": {"503"}}, "headers of the answer")

	silent := subscribe(other, "go.silent")
	flush(other)
	must(nc.PublishRequest("go.silent", "go.inbox.2", []byte("!")))
	flush(nc, other)
	sameList(payloads(silent), []string{"!"}, "subscriber that does not answer")
	equal(len(inbox), 0, "answers although there is a subscriber")
}

func subscriptionDrain(t *Trial) {
	sub, pub := t.connect(), t.connect()
	gate, handled := make(chan struct{}), []string{}
	draining := handle(sub, "go.drain", func(m *nats.Msg) {
		<-gate
		handled = append(handled, string(m.Data))
	})
	staying := subscribe(sub, "go.drain")
	began := draining.StatusChanged(nats.SubscriptionDraining)
	closed := make(chan string, 1)
	draining.SetClosedHandler(func(subject string) { closed <- subject })
	flush(sub)
	sent := numbered(200, "message")
	publishAll(pub, "go.drain", sent)
	flush(sub)
	must(draining.Drain())
	equal(await(began, "start of the drain"), nats.SubscriptionDraining, "status")
	flush(sub)
	publishAll(pub, "go.drain", []string{"late"})
	flush(sub)
	close(gate)
	equal(await(closed, "end of the drain"), "go.drain", "subject")
	sameList(handled, sent, "drained subscription")
	sameList(payloads(staying), append(sent, "late"), "other subscription")
}

func connectionDrain(t *Trial) {
	closed := make(chan bool, 1)
	sub := t.connect(nats.ClosedHandler(func(*nats.Conn) { closed <- true }))
	pub := t.connect()
	echoes := subscribe(pub, "go.drain.echo")
	gate, handled := make(chan struct{}), []string{}
	draining := handle(sub, "go.drain.all", func(m *nats.Msg) {
		<-gate
		handled = append(handled, string(m.Data))
		_ = sub.Publish("go.drain.echo", m.Data)
	})
	began := draining.StatusChanged(nats.SubscriptionDraining)
	flush(sub)
	sent := numbered(200, "message")
	publishAll(pub, "go.drain.all", sent)
	flush(sub)
	t.lossIsExpected.Store(true)
	must(sub.Drain())
	await(began, "start of the drain")
	flush(sub)
	publishAll(pub, "go.drain.all", []string{"late"})
	close(gate)
	await(closed, "end of the drain")
	equal(sub.IsClosed(), true, "drained connection is closed")
	equal(pub.IsConnected(), true, "other connection is open")
	sameList(handled, sent, "drained connection")
	var found []string
	for range sent {
		m, err := echoes.NextMsg(answerTime)
		must(err)
		found = append(found, string(m.Data))
	}
	flush(pub)
	sameList(append(found, payloads(echoes)...), sent, "published while draining")
}

func subscriptionsReturn(t *Trial, endBroker func(), root string) {
	t.lossIsExpected.Store(true)
	lost, back := make(chan bool, 30), make(chan bool, 30)
	connect := func() *nats.Conn {
		return t.connect(
			nats.DisconnectErrHandler(func(*nats.Conn, error) { lost <- true }),
			nats.ReconnectHandler(func(*nats.Conn) { back <- true }),
		)
	}
	one, two, pub := connect(), connect(), connect()
	data := root + ".data"
	plain, wild := subscribe(one, data), subscribe(one, root+".>")
	first, second := member(one, data, "q"), member(two, data, "q")
	limited, gone := subscribe(one, data), subscribe(two, data)
	must(limited.AutoUnsubscribe(5))
	handle(two, root+".service", func(m *nats.Msg) { _ = m.Respond(append([]byte("re: "), m.Data...)) })
	flush(one, two, pub)
	before := numbered(2, "before")
	publishAll(pub, data, before)
	flush(one, two)
	for _, sub := range []*nats.Subscription{plain, wild, limited, gone} {
		sameList(payloads(sub), before, "before the restart")
	}
	sameList(sorted(payloads(first, second)), before, "queue before the restart")
	must(gone.Unsubscribe())
	flush(two)
	endBroker()
	for range 3 {
		await(lost, "loss of the connection")
	}
	t.broker.start()
	for range 3 {
		await(back, "reconnect")
	}
	flush(one, two, pub)
	after := numbered(100, "after")
	counted := two.Stats().InMsgs
	publishAll(pub, data, after)
	flush(one, two)
	sameList(payloads(plain), after, "plain subscription")
	sameList(payloads(wild), after, "wildcard subscription")
	share := payloads(second)
	equal(two.Stats().InMsgs-counted, uint64(len(share)), "messages on the connection that gave one up")
	sameList(sorted(append(payloads(first), share...)), after, "queue")
	sameList(payloads(limited), after[:3], "subscription limited to five in all")
	reply, err := pub.Request(root+".service", []byte("again"), answerTime)
	must(err)
	equal(string(reply.Data), "re: again", "reply")
}

func publishesDuringAnOutage(t *Trial) {
	t.lossIsExpected.Store(true)
	lost, back := make(chan bool, 10), make(chan bool, 10)
	nc := t.connect(
		nats.DisconnectErrHandler(func(*nats.Conn, error) { lost <- true }),
		nats.ReconnectHandler(func(*nats.Conn) { back <- true }),
	)
	sub := subscribe(nc, "go.outage")
	flush(nc)
	t.broker.kill()
	await(lost, "loss of the connection")
	sent := numbered(50, "kept")
	for _, data := range sent {
		must(nc.Publish("go.outage", []byte(data)))
	}
	t.broker.start()
	await(back, "reconnect")
	flush(nc)
	sameList(payloads(sub), sent, "messages")
}

func clientRefusesLargePayload(t *Trial) {
	sub, nc := t.connect(), t.connect()
	one := subscribe(sub, "go.large")
	flush(sub)
	size := int(nc.MaxPayload())
	if err := nc.Publish("go.large", make([]byte, size+1)); !errors.Is(err, nats.ErrMaxPayload) {
		fail("one byte too many ended with %v", err)
	}
	m := &nats.Msg{Subject: "go.large", Data: make([]byte, size), Header: nats.Header{"A": {"b"}}}
	if err := nc.PublishMsg(m); !errors.Is(err, nats.ErrMaxPayload) {
		fail("headers too many ended with %v", err)
	}
	publishAll(nc, "go.large", []string{"still here"})
	flush(sub)
	sameList(payloads(one), []string{"still here"}, "messages")
}

func rawPayloadViolation(t *Trial) {
	nc := t.connect()
	sub := subscribe(nc, "go.violation")
	flush(nc)
	size := nc.MaxPayload() + 1
	for _, line := range []string{fmt.Sprintf("PUB go.violation %d\r\n", size), fmt.Sprintf("HPUB go.violation 12 %d\r\n", size)} {
		culprit := rawClient(t.broker, map[string]any{"headers": true})
		culprit.send(line)
		equal(strings.ToLower(culprit.line()), "-err 'maximum payload violation'", "answer")
		culprit.expectEnd()
		_ = culprit.conn.Close()
	}
	culprit := rawClient(t.broker, nil)
	whole := fmt.Sprintf("PUB go.violation %d\r\n%s\r\n", size, strings.Repeat("x", int(size)))
	_, _ = culprit.conn.Write([]byte(whole))
	scratch := make([]byte, 4096)
	for {
		if _, err := culprit.conn.Read(scratch); err != nil {
			equal(errors.Is(err, os.ErrDeadlineExceeded), false, "connection left open")
			break
		}
	}
	_ = culprit.conn.Close()
	publishAll(nc, "go.violation", []string{"undisturbed"})
	sameList(payloads(sub), []string{"undisturbed"}, "messages")
}

func exactlyMaxPayload(t *Trial) {
	sub, pub := t.connect(), t.connect()
	one, two := subscribe(sub, "go.mebibyte"), subscribe(sub, "go.*")
	flush(sub)
	size := int(pub.MaxPayload())
	equal(size, 1048576, "max_payload")
	var sent []string
	for seed := range 8 {
		data := make([]byte, size)
		random := rand.NewChaCha8([32]byte{byte(seed)})
		_, _ = random.Read(data)
		sent = append(sent, string(data))
	}
	publishAll(pub, "go.mebibyte", sent)
	block := len("NATS/1.0\r\nName: value\r\n\r\n")
	rest := sent[0][block:]
	must(pub.PublishMsg(&nats.Msg{Subject: "go.mebibyte", Header: nats.Header{"Name": {"value"}}, Data: []byte(rest)}))
	flush(pub, sub)
	for _, s := range []*nats.Subscription{one, two} {
		found := received(s)
		equal(len(found), len(sent)+1, "messages on "+s.Subject)
		for i, data := range append(slices.Clone(sent), rest) {
			if string(found[i].Data) != data {
				fail("message %d on %s differs", i, s.Subject)
			}
		}
		equal(found[len(sent)].Header, nats.Header{"Name": {"value"}}, "headers on "+s.Subject)
	}
	handle(sub, "go.mebibyte.echo", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	flush(sub)
	reply, err := pub.Request("go.mebibyte.echo", []byte(sent[3]), answerTime)
	must(err)
	equal(string(reply.Data) == sent[3], true, "the echoed mebibyte is the same")
}

func tenThousandSubscriptions(t *Trial) {
	const count = 10_000
	// Every synchronous subscription allocates its queue at once, so these are short.
	sub, pub := t.connect(nats.SyncQueueLen(4)), t.connect()
	everything := make(chan *nats.Msg, 2*count)
	wild, err := sub.ChanSubscribe("go.many.*", everything)
	must(err)
	var subs []*nats.Subscription
	for i := range count {
		subs = append(subs, subscribe(sub, fmt.Sprintf("go.many.%d", i)))
	}
	flush(sub)
	sent := numbered(count, "for")
	publish := func() {
		for i, data := range sent {
			must(pub.Publish(fmt.Sprintf("go.many.%d", i), []byte(data)))
		}
		flush(pub, sub)
	}
	publish()
	for i, s := range subs {
		found := received(s)
		equal(len(found), 1, "messages of "+s.Subject)
		equal(string(found[0].Data), sent[i], "message of "+s.Subject)
	}
	for _, s := range subs {
		must(s.Unsubscribe())
	}
	flush(sub)
	before := sub.Stats().InMsgs
	publish()
	equal(sub.Stats().InMsgs-before, uint64(count), "messages over the wire after giving up")
	must(wild.Unsubscribe())
	var found []string
	for len(everything) > 0 {
		found = append(found, string((<-everything).Data))
	}
	sameList(found, append(slices.Clone(sent), sent...), "wildcard beside them")
}

func autoUnsubscribe(t *Trial) {
	sub, other, pub := t.connect(), t.connect(), t.connect()
	limited, free := subscribe(sub, "go.limit"), subscribe(sub, "go.limit")
	must(limited.AutoUnsubscribe(7))
	flush(sub)
	sent := numbered(20, "message")
	// The client counts for itself too, so the count of what came over the wire is compared.
	before := sub.Stats().InMsgs
	publishAll(pub, "go.limit", sent)
	flush(sub)
	equal(sub.Stats().InMsgs-before, uint64(27), "messages over the wire")
	sameList(payloads(limited), sent[:7], "limited subscription")
	sameList(payloads(free), sent, "free subscription")
	if _, err := limited.NextMsg(time.Millisecond); !errors.Is(err, nats.ErrMaxMessages) && !errors.Is(err, nats.ErrBadSubscription) {
		fail("after the limit: %v", err)
	}

	late := subscribe(sub, "go.limit.late")
	flush(sub)
	publishAll(pub, "go.limit.late", sent[:3])
	flush(sub)
	must(late.AutoUnsubscribe(5))
	flush(sub)
	publishAll(pub, "go.limit.late", sent[3:])
	flush(sub)
	sameList(payloads(late), sent[:5], "limit that counts earlier messages")

	short, long := member(sub, "go.limit.queue", "q"), member(other, "go.limit.queue", "q")
	must(short.AutoUnsubscribe(3))
	flush(sub, other)
	many := numbered(200, "message")
	publishAll(pub, "go.limit.queue", many)
	flush(sub, other)
	first := payloads(short)
	equal(len(first), 3, "messages of the limited member")
	sameList(sorted(append(first, payloads(long)...)), many, "queue with a limited member")
}

func flushAndRTT(t *Trial) {
	nc := t.connect()
	for range 200 {
		flush(nc)
	}
	for range 20 {
		rtt, err := nc.RTT()
		must(err)
		if rtt <= 0 || rtt > time.Second {
			fail("round trip %v", rtt)
		}
	}
	var wait sync.WaitGroup
	problems := make(chan error, 500)
	for range 500 {
		wait.Go(func() { problems <- nc.FlushTimeout(answerTime) })
	}
	wait.Wait()
	for range 500 {
		must(<-problems)
	}
}

func verboseAndPedantic(t *Trial) {
	recorder := &Recorder{}
	nc := t.connect(nats.SetCustomDialer(recorder), func(o *nats.Options) error {
		o.Verbose, o.Pedantic = true, true
		return nil
	})
	sub := subscribe(nc, "go.verbose.*")
	flush(nc)
	sent := numbered(100, "message")
	publishAll(nc, "go.verbose.x", sent)
	sameList(payloads(sub), sent, "messages")
	must(nc.PublishMsg(&nats.Msg{Subject: "go.verbose.h", Header: nats.Header{"Name": {"value"}}}))
	flush(nc)
	found := received(sub)
	equal(len(found), 1, "messages with headers")
	equal(found[0].Header, nats.Header{"Name": {"value"}}, "headers")
	must(sub.Unsubscribe())
	flush(nc)
	// CONNECT, SUB, 100 PUB, HPUB and UNSUB; PING is answered by PONG alone.
	equal(recorder.count("+OK"), 104, "lines +OK")
}

func echoOff(t *Trial) {
	quiet, other := t.connect(nats.NoEcho()), t.connect()
	own, beside := subscribe(quiet, "go.echo"), subscribe(other, "go.echo")
	mine, theirs := member(quiet, "go.echo.queue", "q"), member(other, "go.echo.queue", "q")
	flush(quiet, other)
	sent := numbered(50, "message")
	publishAll(quiet, "go.echo", sent)
	publishAll(quiet, "go.echo.queue", sent)
	flush(other)
	sameList(payloads(own), nil, "own subscription")
	sameList(payloads(beside), sent, "subscription of another connection")
	sameList(payloads(mine), nil, "own queue member")
	sameList(payloads(theirs), sent, "queue member of another connection")
	publishAll(other, "go.echo", sent)
	flush(quiet)
	sameList(payloads(own), sent, "messages of another connection")
	sameList(payloads(beside), sent, "own messages with echo on")
}
