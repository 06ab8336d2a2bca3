package AI::MXNet::Gluon::SymbolBlock;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Base qw(STORAGE_TYPE_ROW_SPARSE);
use AI::MXNet::Gluon::HybridBlock;
use Mouse;
use Scalar::Util qw(blessed);

extends 'AI::MXNet::Gluon::HybridBlock';

# A block made of a graph: what in the graph is not an input is a parameter.

has outputs => (is => 'bare', required => 1);
has inputs => (is => 'bare', required => 1);

sub python_constructor_arguments { return [qw(outputs inputs)] }

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub BUILD
{
    my ($self, $args) = @_;
    my ($outputs, $inputs) = delete @$self{qw(outputs inputs)};
    for my $given ($outputs, $inputs) {
        _fail('SymbolBlock: got ' . ($given // 'undef') . ', want symbols, or lists of them')
            if ref $given ne 'ARRAY'
            and not(blessed $given and $given->isa('AI::MXNet::Symbol'));
    }
    $inputs = [$inputs] if blessed $inputs and @{ $inputs->list_outputs } == 1;
    $inputs = [map { $inputs->slice($_) } 0 .. @{ $inputs->list_outputs } - 1] if blessed $inputs;
    $outputs = [@$outputs] if blessed $outputs;
    (my $symbols, $self->{_in_format}) = $self->_flatten($inputs, 'input');
    (my $parts, $self->{_out_format}) = $self->_flatten($outputs, 'output');
    my $graph = AI::MXNet::Symbol->Group($parts);
    my %input;

    for my $symbol (@$symbols) {
        _fail("Input symbols must be variable, but $symbol is an output of operators")
            if @{ $symbol->get_internals->list_outputs } != 1;
        $input{ $symbol->name } = 1;
    }
    my $attributes = $graph->attr_dict;
    for my $name (sort keys %$attributes) {
        _fail("SymbolBlock doesn't support Parameter $name because its storage type is 'row_sparse'.")
            if ($attributes->{$name}{__storage_type__} // '') eq STORAGE_TYPE_ROW_SPARSE;
    }
    my $params = AI::MXNet::Gluon::ParameterDict->new(prefix => '', shared => $args->{params});
    my ($arguments, $aux) = ($graph->list_arguments, $graph->list_auxiliary_states);
    my ($argument_types, undef, $aux_types) = _types($graph, $symbols);
    for my $i (grep { !$input{ $arguments->[$_] } } 0 .. $#$arguments) {
        $params->get($arguments->[$i], allow_deferred_init => 1, _dtype($argument_types->[$i]));
    }
    for my $i (grep { !$input{ $aux->[$_] } } 0 .. $#$aux) {
        $params->get($aux->[$i], grad_req => 'null', allow_deferred_init => 1, _dtype($aux_types->[$i]));
    }
    my $prefix = _common_prefix($params->keys);
    $self->{_prefix} = $prefix;
    $self->{_params} = $params;
    $self->{_reg_params}->set(substr($_->name, length $prefix), $_) for $params->values;
    $self->{_cached_graph} = [$symbols, $graph];
    return;
}

# Types as far as the graph knows them.
sub _types
{
    my ($graph, $symbols) = @_;
    local $SIG{__WARN__} = sub { };
    my %known;
    for my $symbol (@$symbols) {
        my $type = $symbol->attr('__dtype__') // next;
        $known{ $symbol->name } = AI::MXNet::Base::DTYPE_MX_TO_STR()->{$type};
    }
    my @types = $graph->infer_type(%known);
    return $types[0] ? @types : ([], [], []);
}

sub _dtype { return $_[0] ? (dtype => $_[0]) : () }

sub _common_prefix
{
    my ($prefix, @names) = @_;
    $prefix //= '';
    for my $name (@names) { chop $prefix while index $name, $prefix }
    return $prefix;
}

# Tracing needs no hybrid_forward here, and the graph stays.
sub _clear_cached_op
{
    my $self = shift;
    @$self{qw(_cached_op _cached_op_args)} = ();
    return;
}

sub forward
{
    my ($self, $x, @args) = @_;
    if (blessed($x) and $x->isa('AI::MXNet::NDArray')) {
        local $AI::MXNet::Context = $x->context;
        return $self->_call_cached_op($x, @args);
    }
    my ($flat, $format) = $self->_flatten([$x, @args], 'input');
    my ($inputs, $graph) = @{ $self->{_cached_graph} };
    _fail('Invalid input format: ' . $self->name . ' has other inputs') if @$flat != @$inputs;
    my %new = map { ($inputs->[$_]->name => $flat->[$_]) } 0 .. $#$inputs;

    # An input may be an output too.
    my @outputs = @$graph;
    my @computed = grep { not $new{ $_->name } or defined $_->get_children } @outputs;
    return AI::MXNet::Symbol->Group([map { $new{ $_->name } } @outputs]) if not @computed;
    my $composed = AI::MXNet::Symbol->Group(\@computed)->call(%new);
    return $composed if @computed == @outputs;
    my @parts = @$composed;
    return AI::MXNet::Symbol->Group(
        [map { $new{ $_->name } && !defined $_->get_children ? $new{ $_->name } : shift @parts } @outputs]);
}

# The files of parameters and the context by position, or by name.
sub imports
{
    my ($class, $symbol_file, $input_names, @rest) = @_;
    my %arg =
           @rest
        && defined $rest[0]
        && $rest[0] =~ /^(?:param_file|ctx)$/ ? @rest : (param_file => $rest[0], ctx => $rest[1]);
    my $graph = AI::MXNet::Symbol->load($symbol_file);
    my @inputs =
        map { AI::MXNet::Symbol->var($_, dtype => 'float32') } ref $input_names ? @$input_names : $input_names;
    my $block = __PACKAGE__->new($graph, \@inputs);
    $block->collect_params->load($arg{param_file}, ctx => $arg{ctx}) if defined $arg{param_file};
    return $block;
}

# Without arguments the name stands for the class: gluon->SymbolBlock->imports(...).
sub AI::MXNet::Gluon::SymbolBlock { return @_ > 1 ? __PACKAGE__->new(@_[1 .. $#_]) : __PACKAGE__ }

no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::Gluon::SymbolBlock - a block made of a graph

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $data = mx->sym->var('data', dtype => 'float32');
    my $graph = mx->sym->FullyConnected($data, num_hidden => 2, name => 'fc');
    my $block = gluon->SymbolBlock($graph, $data);
    $block->initialize(mx->init->One());
    print $block->(nd->ones([1, 3]))->aspdl;

=head1 DESCRIPTION

C<new($outputs, $inputs, params =E<gt>)>: outputs are a symbol or a list of them, inputs a variable or a list of variables.
Every other variable of the graph is a parameter of the block, taken from C<params> where it is there.

C<imports($symbol_file, $input_names, $param_file, $ctx)> reads what C<export> of an
L<AI::MXNet::Gluon::HybridBlock> wrote.

=cut
