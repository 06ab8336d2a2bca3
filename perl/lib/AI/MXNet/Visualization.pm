package AI::MXNet::Visualization;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Symbol;
use JSON::PP ();
use Scalar::Util qw(blessed);

# Graphs as a table and as a picture.

sub _fail { return AI::MXNet::Keshi::fail(@_) }

# The nodes of a graph, and the number of each head.
sub _nodes
{
    my $symbol = shift;
    my $graph = JSON::PP->new->decode($symbol->tojson);
    return ($graph->{nodes}, { map { $_->[0] => 1 } @{ $graph->{heads} } });
}

# Shapes of all outputs by name; none when no shapes are given.
sub _shapes
{
    my ($symbol, $given) = @_;
    _fail('visualization: got ' . ($symbol // 'undef') . ', want an AI::MXNet::Symbol')
        if not blessed($symbol)
        or not $symbol->isa('AI::MXNet::Symbol');
    return if not defined $given;
    my $internals = $symbol->get_internals;
    my (undef, $shapes) = $internals->infer_shape(%$given);
    _fail('Input shape is incomplete') if not defined $shapes;
    my %shapes;
    @shapes{ @{ $internals->list_outputs } } = @$shapes;
    return \%shapes;
}

# Of a node: that of a variable, or of the first output of an operator.
sub _shape_of
{
    my ($shapes, $node) = @_;
    my $name = $node->{name};
    my ($key) = grep { exists $shapes->{$_} } $node->{op} eq 'null' ? $name : ("${name}_output", "${name}_output0");
    return defined $key ? $shapes->{$key} : [];
}

sub _sizes { return $_[0] =~ /(\d+)/g }

# -- the table

# Numbers of parameters that are learnt.
my %parameters = (
    Convolution => sub {
        my ($attrs, $inputs) = @_;
        my $count = $inputs * $attrs->{num_filter} / ($attrs->{num_group} // 1);
        $count *= $_ for _sizes($attrs->{kernel});
        return $count + (_is_true($attrs->{no_bias}) ? 0 : $attrs->{num_filter});
    },
    FullyConnected => sub {
        my ($attrs, $inputs) = @_;
        return $inputs * ($attrs->{num_hidden} + (_is_true($attrs->{no_bias}) ? 0 : 1));    # as MXNet counts them
    },
    BatchNorm => sub { return 2 * $_[1] },
    Embedding => sub { return $_[0]{input_dim} * $_[0]{output_dim} },
);

sub _is_true { return defined $_[0] && $_[0] =~ /^(?:1|true)$/i }

sub print_summary
{
    my ($class, $symbol, $shape, $length, $positions) = @_;
    $length //= 120;
    my @columns = @{ $positions // [0.44, 0.64, 0.74, 1] };
    @columns = map { int($_ * $length) } @columns if $columns[-1] <= 1;
    my $shapes = _shapes($symbol, $shape);
    my ($nodes, $heads) = _nodes($symbol);
    my $row = sub {
        my $line = '';
        for my $i (0 .. $#_) {
            $line = sprintf '%-*s', $columns[$i], substr $line . $_[$i], 0, $columns[$i];
        }
        print "$line\n";
    };
    print '_' x $length, "\n";
    $row->('Layer (type)', 'Output Shape', 'Param #', 'Previous Layer');
    print '=' x $length, "\n";
    my $total = 0;
    for my $i (0 .. $#$nodes) {
        my $node = $nodes->[$i];
        next if $node->{op} eq 'null' and $i > 0;
        my @previous = map { $nodes->[$_->[0]] } @{ $node->{inputs} };
        my @shown = grep { $_->{op} ne 'null' || $heads->{ _place($nodes, $_) } || $_ == $nodes->[0] } @previous;
        my $out = $shapes ? _shape_of($shapes, $node) : [];
        my $inputs = 0;
        if ($shapes and @shown) {
            my $of = _shape_of($shapes, $shown[0]);
            $inputs = @$of > 1 ? $of->[1] : 0;
        }
        my $count = $parameters{ $node->{op} } ? $parameters{ $node->{op} }->($node->{attrs} // {}, $inputs) : 0;
        $total += $count;
        my ($first, @rest) = map { $_->{name} } @shown;
        $row->("$node->{name}($node->{op})", join('x', @{$out}[1 .. $#$out]), $count, $first // '');
        $row->('', '', '', $_) for @rest;
        print +($i == $#$nodes ? '=' : '_') x $length, "\n";
    }
    print "Total params: $total\n";
    print '_' x $length, "\n";
    return;
}

sub _place
{
    my ($nodes, $node) = @_;
    my ($i) = grep { $nodes->[$_] == $node } 0 .. $#$nodes;
    return $i;
}

# -- the picture

# What is written into a node, and its colour.
my @colours = ('#8dd3c7', '#fb8072', '#ffffb3', '#bebada', '#80b1d3', '#fdb462', '#b3de69', '#fccde5');
my %look = (
    Convolution => sub {
        my $a = shift;
        my $stride = join 'x', $a->{stride} ? _sizes($a->{stride}) : 1;
        return (join('x', _sizes($a->{kernel})) . "/$stride, $a->{num_filter}", 1);
    },
    FullyConnected => sub { return ($_[0]{num_hidden}, 1) },
    BatchNorm => sub { return (undef, 3) },
    Activation => sub { return ($_[0]{act_type}, 2) },
    LeakyReLU => sub { return ($_[0]{act_type} // 'leaky', 2) },
    Pooling => sub {
        my $a = shift;
        my $stride = join 'x', $a->{stride} ? _sizes($a->{stride}) : 1;
        return (join(', ', $a->{pool_type} // 'max', join('x', _sizes($a->{kernel} // '()')) . "/$stride"), 4);
    },
    (
        map {
            $_ => sub { return (undef, 5) }
        } qw(Concat Flatten)
    ),
    Reshape => sub { return (undef, 5) },
    Softmax => sub { return (undef, 6) },
    (
        map {
            $_ => sub { return (undef, 7) }
        } qw(clip elemwise_add)
    ),
);

sub _label
{
    my ($node) = @_;
    my ($op, $attrs) = ($node->{op}, $node->{attrs} // {});
    return ("Dropout ($attrs->{p})", undef) if $op eq 'Dropout' and defined $attrs->{p};
    return ("Reshape $attrs->{shape}", 5) if $op eq 'Reshape' and defined $attrs->{shape};
    my $look = $look{$op} or return ($node->{name}, 7);
    my ($text, $colour) = $look->($attrs);
    return (defined $text ? "$op\n$text" : $op, $colour);
}

sub plot_network
{
    my ($class, $symbol, %given) = @_;
    my %arg = (title => 'plot', save_format => 'ps', shape => undef, node_attrs => {}, hide_weights => 1, %given);
    my $shapes = _shapes($symbol, $arg{shape});
    eval { require GraphViz; 1 } or require AI::MXNet::Visualization::Dot;
    my $graph = GraphViz->new(name => $arg{title});
    my ($nodes) = _nodes($symbol);
    my %common = (
        shape => 'box',
        fixedsize => 'true',
        width => 1.3,
        height => 0.8034,
        style => 'filled',
        %{ $arg{node_attrs} }
    );
    my %hidden;

    for my $node (@$nodes) {
        my $name = $node->{name};
        if ($node->{op} eq 'null') {
            if ($name =~ /_(?:weight|bias|beta|gamma|moving_var|moving_mean)$/) {
                $hidden{$name} = $arg{hide_weights};
                $graph->add_node($name, label => $name) if not $arg{hide_weights};
                next;
            }
            $graph->add_node($name, %common, shape => 'ellipse', label => $name, fillcolor => $colours[0]);
            next;
        }
        my ($label, $colour) = _label($node);
        $graph->add_node($name, %common, label => $label, defined $colour ? (fillcolor => $colours[$colour]) : ());
    }
    for my $node (grep { $_->{op} ne 'null' } @$nodes) {
        for my $input (map { $nodes->[$_->[0]] } @{ $node->{inputs} }) {
            next if $hidden{ $input->{name} };
            my %edge = (dir => 'back', arrowtail => 'normal');
            if ($shapes) {
                my @shape = @{ _shape_of($shapes, $input) };
                $edge{label} = join 'x', @shape[1 .. $#shape];
            }
            $graph->add_edge($node->{name} => $input->{name}, %edge);
        }
    }
    return AI::MXNet::Visualization::PythonGraphviz->new($graph, $arg{save_format}, $arg{title});
}

package AI::MXNet::Visualization::PythonGraphviz;    ## no critic (ProhibitMultiplePackages)
use strict;
use warnings;

sub new
{
    my ($class, $graph, $format, $title) = @_;
    return bless { graph => $graph, format => $format, title => $title }, $class;
}

sub graph { return $_[0]{graph} }

# The picture, as bytes or into a file.
sub render
{
    my ($self, $file) = @_;
    my $method = "as_$self->{format}";
    AI::MXNet::Keshi::fail("render: GraphViz does not write $self->{format}") if not $self->{graph}->can($method);
    return $self->{graph}->$method(defined $file ? $file : ());
}

1;

__END__

=head1 NAME

AI::MXNet::Visualization - graphs as tables and pictures

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $net = mx->sym->FullyConnected(mx->sym->Variable('data'), num_hidden => 10, name => 'fc');
    $net = mx->sym->Activation($net, act_type => 'relu', name => 'act');
    mx->viz->print_summary($net, { data => [1, 20] });

=head1 DESCRIPTION

=over 4

=item print_summary($symbol, \%shapes, $line_length = 120, \@positions = [0.44, 0.64, 0.74, 1])

Prints a row for each operator: name and type, the shape of its output without the batch, the number of parameters, and where
its input comes from. Without shapes parameters that depend on them count as 0.

=item plot_network($symbol, title => 'plot', save_format => 'ps', shape => \%shapes, node_attrs => {}, hide_weights => 1)

A picture, made by the module L<GraphViz> or, where that is not installed, by the program F<dot>. C<save_format> is C<png>, C<svg>,
C<ps> and so on; C<debug> is the source of the graph. C<< ->render($file) >> writes it, C<< ->graph >> is the
GraphViz object.

=back

=cut
