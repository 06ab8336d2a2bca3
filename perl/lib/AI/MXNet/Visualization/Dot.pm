package AI::MXNet::Visualization::Dot;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;

# Answers under the name GraphViz where that module is not installed: enough of it for a graph of operators.

package GraphViz;    ## no critic (ProhibitMultiplePackages)

our $AUTOLOAD;

sub new
{
    my ($class, %arg) = @_;
    return bless { title => $arg{name} // 'test', lines => [], names => {}, renamed => 0 }, $class;
}

# A name that needs no quotes.
sub _name
{
    my ($self, $name) = @_;
    return $self->{names}{$name} //= $name =~ /^[A-Za-z]\w*$/ ? $name : 'node' . ++$self->{renamed};
}

sub _attributes
{
    my %attr = @_;
    my $quoted = sub { my $text = "$_[0]"; $text =~ s/(["\\])/\\$1/g; $text =~ s/\n/\\n/g; return qq("$text") };
    return '[' . join(', ', map { "$_=" . $quoted->($attr{$_}) } sort keys %attr) . '];';
}

sub add_node
{
    my ($self, $name, %attr) = @_;
    push @{ $self->{lines} }, $self->_name($name) . ' ' . _attributes(%attr);
    return;
}

sub add_edge
{
    my ($self, $from, $to, %attr) = @_;
    push @{ $self->{lines} }, $self->_name($from) . ' -> ' . $self->_name($to) . ' ' . _attributes(%attr);
    return;
}

sub as_debug
{
    my $self = shift;
    return join "\n", "digraph $self->{title} {", (map { "\t$_" } @{ $self->{lines} }), "}\n";
}

sub can    ## no critic (ProhibitBuiltinHomonyms)
{
    my ($self, $method) = @_;
    return $self->SUPER::can($method) || $method =~ /^as_[a-z]+$/ && sub { my $graph = shift; $graph->$method(@_) };
}

sub DESTROY { }

# as_png, as_svg, …: drawn by the program dot, into a file or as bytes.
sub AUTOLOAD    ## no critic (ProhibitAutoloading)
{
    my ($self, $file) = @_;
    my ($format) = $AUTOLOAD =~ /::as_([a-z]+)$/ or AI::MXNet::Keshi::fail("GraphViz: no such method $AUTOLOAD");
    require File::Temp;
    my $source = File::Temp->new(SUFFIX => '.dot');
    print {$source} $self->as_debug;
    close $source;
    no warnings 'exec';
    open my $dot, '-|', 'dot', "-T$format", "$source"
        or AI::MXNet::Keshi::fail("plot_network: cannot run the program dot: $!");
    binmode $dot;
    my $picture = do { local $/ = undef; <$dot> };
    close $dot or AI::MXNet::Keshi::fail("plot_network: the program dot cannot write $format");
    return $picture if not defined $file;
    open my $out, '>:raw', $file or AI::MXNet::Keshi::fail("plot_network: cannot write '$file': $!");
    print {$out} $picture;
    close $out or AI::MXNet::Keshi::fail("plot_network: cannot write '$file': $!");
    return;
}

$INC{'GraphViz.pm'} //= __FILE__;    ## no critic (RequireLocalizedPunctuationVars)

1;
