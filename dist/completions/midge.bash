# Completions of midge for bash; made of its help.

_midge() {
    local before words
    before="${COMP_WORDS[*]:1:COMP_CWORD-1} "
    case $before in
        "bench pub "*) words='-h --help --pubs --subs --size --headers -d --duration -n --msgs --rate --window --subjects --wildcards --bystanders --idle --stalled --read-rate -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench fanout "*) words='-h --help --pubs --subs --size --headers -d --duration -n --msgs --rate --window --subjects --wildcards --bystanders --idle --stalled --read-rate -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench fanin "*) words='-h --help --pubs --subs --size --headers -d --duration -n --msgs --rate --window --subjects --wildcards --bystanders --idle --stalled --read-rate -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench queue "*) words='-h --help --pubs --subs --size --headers -d --duration -n --msgs --rate --window --subjects --wildcards --bystanders --idle --stalled --read-rate -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench subjects "*) words='-h --help --pubs --subs --size --headers -d --duration -n --msgs --rate --window --subjects --wildcards --bystanders --idle --stalled --read-rate -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench latency "*) words='-h --help --pubs --subs --size --headers -d --duration -n --msgs --rate --window --subjects --wildcards --bystanders --idle --stalled --read-rate -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench slow "*) words='-h --help --pubs --subs --size --headers -d --duration -n --msgs --rate --window --subjects --wildcards --bystanders --idle --stalled --read-rate -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench outrun "*) words='-h --help --pubs --subs --size --headers -d --duration -n --msgs --rate --window --subjects --wildcards --bystanders --idle --stalled --read-rate -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench request "*) words='-h --help --clients --responders --outstanding --size -d --duration -n --msgs --rate --requester -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench crowd "*) words='-h --help --conns --rate --warm-up --size -d --duration -n --msgs -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench idle "*) words='-h --help --conns --subs --hold -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench connect "*) words='-h --help --concurrency -d --duration -n --msgs -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench handshakes "*) words='-h --help --resume --concurrency -d --duration -n --msgs -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench sub-unsub "*) words='-h --help --subs -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression --pid --json --csv -q --quiet --patience' ;;
        "bench versus "*) words='--a --b --broker --rounds --seconds --only --list --quick --report --no-report --svg --json --force -q --quiet -h --help' ;;
        "check "*) words='-h --help' ;;
        "digest "*) words='-h --help' ;;
        "pub "*) words='-H --header -r --reply -n --count -l --lines -q --quiet -t --timeout -h --help -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression' ;;
        "sub "*) words='-q --queue -n --count -a --answer -t --timeout -r --raw -j --json -h --help -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression' ;;
        "req "*) words='-H --header -n --replies -t --timeout -r --raw -j --json -h --help -s --server --user --password --token --nkey --creds --tls --tlsfirst --tlsca --tlscert --tlskey --tlsinsecure --ws --ws-compression' ;;
        "top "*) words='-h --help -m --monitor --tlsca --tlscert --tlskey --tlsinsecure -d --delay -n --samples -s --sort -l --limit -j --json' ;;
        "kick "*) words='-h --help -m --monitor --tlsca --tlscert --tlskey --tlsinsecure --cid --user --account --find --all --reason --yes' ;;
        "passwd "*) words='-g --generate -c --cost -h --help' ;;
        "nkey "*) words='-p --public -h --help' ;;
        "bench "*) words='-h --help -V --version pub fanout fanin queue subjects latency slow outrun request crowd idle connect handshakes sub-unsub versus' ;;
        *) words='-c --config -t -a --addr --net -p --port -n --name --server_name --cluster_name --client_advertise -P --pid --ports_file_dir -m --http_port -ms --https_port --busy_poll --lame_duck_duration --lame_duck_grace_period -sl --signal -l --log --log_size_limit --log_max_num -s --syslog -r --remote_syslog --log_format -T --logtime --logtime_utc -D --debug -V --trace -VV -DV -DVV --max_traced_msg_len --user --pass --auth --tls --tlscert --tlskey --tlsverify --tlscacert --help_tls -h --help -v --version check digest pub sub req top kick passwd nkey bench' ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}

# What is not a flag may be a file.
complete -o default -F _midge midge
