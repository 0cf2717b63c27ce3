#compdef ipvl
# Completion of ipvl for zsh: asks the command itself what may come next.
_ipvl() {
    local -a found
    found=("${(@f)$(ipvl complete -- "${(@)words[2,CURRENT]}" 2>/dev/null | sed 's/:/\\:/g; s/\t/:/')}")
    if [[ -n $found[1] ]]; then
        _describe ipvl found
    else
        _files
    fi
}
if [[ $funcstack[1] == _ipvl ]]; then
    _ipvl "$@"
else
    compdef _ipvl ipvl
fi
