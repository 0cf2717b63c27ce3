# Completion of ipvl for bash: asks the command itself what may come next.
_ipvl() {
    local IFS=$'\n'
    COMPREPLY=($(compgen -W "$(ipvl complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1)" \
        -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _ipvl ipvl
