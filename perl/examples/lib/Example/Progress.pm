package Example::Progress;
use 5.014;
use strict;
use warnings;
use Exporter qw(import);

# What the examples show while they train: a bar that is drawn over itself on a terminal, and only whole lines in a log.

our @EXPORT_OK = qw(bar finish_line);

$| = 1;                      ## no critic (RequireLocalizedPunctuationVars)
my $terminal = -t STDOUT;    ## no critic (ProhibitInteractiveTest)

sub bar
{
    my ($done, $all, $text) = @_;
    return if not $terminal;
    my $filled = int 30 * $done / $all;
    printf "\r[%s%s] %s ", '=' x $filled, ' ' x (30 - $filled), $text;
    return;
}

# In place of the bar.
sub finish_line
{
    my $text = shift;
    print $terminal ? "\r\e[K$text\n" : "$text\n";
    return;
}

1;
