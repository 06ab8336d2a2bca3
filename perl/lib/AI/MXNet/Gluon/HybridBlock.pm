package AI::MXNet::Gluon::HybridBlock;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Function::Parameters;
use AI::MXNet::Gluon::Block;
use AI::MXNet::Logging;
use AI::MXNet::NDArray;
use Mouse;
use Scalar::Util qw(blessed);

extends 'AI::MXNet::Gluon::Block';

# A block that says what it computes for arrays and for symbols alike, so that it can be traced into a graph: to find the
# shapes of its parameters, to run compiled, to be written to a file.

has [qw(_active _flags _cached_graph _cached_op _cached_op_args _in_format _out_format _plain _own)] =>
    (is => 'rw', init_arg => undef);

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub _child_class { return __PACKAGE__ }

sub register_child
{
    my ($self, $block, $name) = @_;
    $self->SUPER::register_child($block, $name);
    $self->_clear_cached_op;
    return;
}

sub cast
{
    my ($self, $dtype) = @_;
    $self->_clear_cached_op;
    return $self->SUPER::cast($dtype);
}

sub hybridize
{
    my $self = shift;
    my ($active, %flags) = @_ % 2 ? @_ : (1, @_);
    $self->{_active} = $active // 1 ? 1 : 0;
    $self->{_flags} = \%flags;
    $self->_clear_cached_op;
    AI::MXNet::Logging->warning(
'%s is being hybridized while still having forward hook/pre-hook. If %s is a child of HybridBlock, the hooks will '
            . 'not take effect.',
        $self->name, $self->name
    ) if $self->{_active} and $self->{_forward_hooks} || $self->{_forward_pre_hooks};
    return $self->SUPER::hybridize($self->{_active}, %flags);
}

sub _clear_cached_op
{
    my $self = shift;
    @$self{qw(_cached_graph _cached_op _cached_op_args)} = ();
    return;
}

# -- nested lists of arrays or symbols: flat, with a format to nest them again. 0 stands for one, n for a symbol of n outputs,
# undef for nothing.

sub _flatten
{
    my ($self, $value, $what) = @_;
    return ([], undef) if not defined $value;
    if (blessed $value) {
        return ([$value], 0) if $value->isa('AI::MXNet::NDArray');
        if ($value->isa('AI::MXNet::Symbol')) {
            my $outputs = @{ $value->list_outputs };
            return ([$value], $outputs > 1 ? $outputs : 0);
        }
    }
    _fail("HybridBlock $what must be (nested) list of Symbol or NDArray, but got $value") if ref $value ne 'ARRAY';
    my (@flat, @format);
    for my $part (@$value) {
        my ($values, $format) = $self->_flatten($part, $what);
        push @flat, @$values;
        push @format, $format;
    }
    return (\@flat, \@format);
}

# Takes what the format asks for off the list.
sub _regroup
{
    my ($self, $values, $format) = @_;
    return if not defined $format;
    return [map { scalar $self->_regroup($values, $_) } @$format] if ref $format;
    return $format ? [splice @$values, 0, $format] : shift @$values;
}

sub _same_format
{
    my ($x, $y) = @_;
    return !defined $x && !defined $y if not defined $x or not defined $y;
    return !ref $x && !ref $y && $x == $y if not ref $x or not ref $y;
    return @$x == @$y && !grep { !_same_format($x->[$_], $y->[$_]) } 0 .. $#$x;
}

# -- the graph

# (\@inputs, $graph), traced for arguments like these.
sub _get_graph
{
    my ($self, @args) = @_;
    my ($flat, $format) = $self->_flatten(\@args, 'input');
    if ($self->{_cached_graph}) {
        return @{ $self->{_cached_graph} } if _same_format($format, $self->{_in_format});
        _fail('Invalid input format: ' . $self->name . ' was traced for other arguments') if $self->{_cached_op};
    }
    my @inputs = map { AI::MXNet::Symbol->var(@$flat > 1 ? "data_$_" : 'data') } 0 .. $#$flat;
    my $grouped = $self->_regroup([@inputs], $format);
    my @out = $self->_trace(@$grouped);
    my ($outputs, $out_format) = $self->_flatten(\@out, 'output');
    my $graph = AI::MXNet::Symbol->Group($outputs);
    @$self{qw(_in_format _out_format _cached_graph)} = ($format, $out_format, [\@inputs, $graph]);
    return (\@inputs, $graph);
}

# What hybrid_forward makes of symbols.
sub _trace
{
    my ($self, @args) = @_;
    my @params = $self->{_reg_params}->as_list;
    $_ % 2 and $params[$_] = $params[$_]->var for 0 .. $#params;
    my @out;
    $self->name_scope(sub { @out = $self->hybrid_forward('AI::MXNet::Symbol', @args, @params) });
    return @out;
}

sub _build_cache
{
    my ($self, @args) = @_;
    my ($inputs, $graph) = $self->_get_graph(@args);
    my $i = 0;
    my %data = map { ($_->name => $i++) } @$inputs;
    my $params = $self->collect_params->params;
    my $names = $graph->list_inputs;
    my (%used, @from, @data_indices, @param_indices);
    for my $place (0 .. $#$names) {
        my $name = $names->[$place];
        $used{$name} = 1;
        if (exists $data{$name}) {
            push @data_indices, $place;
            push @from, $data{$name};
        } elsif (my $param = $params->get($name)) {
            push @param_indices, $place;
            push @from, $param;
        } else {
            _fail("Unknown input to HybridBlock: $name");
        }
    }
    for my $name (grep { !$used{$_} } sort { $data{$a} <=> $data{$b} } keys %data) {
        AI::MXNet::Logging->warning('The %s input to HybridBlock is not used by any computation. Is this intended?',
            $name);
    }
    for my $name (grep { !$used{$_} } $params->keys) {
        AI::MXNet::Logging->warning('Parameter %s is not used by any computation. Is this intended?', $name);
    }
    $self->{_cached_op_args} = \@from;
    my $nested = grep { not defined or ref or $_ } map { @$_ } @$self{qw(_in_format _out_format)};
    $self->{_plain} = !$nested && !grep { ref and not _is_plain($_) } @from;
    $self->{_cached_op} = AI::MXNet::NDArray->CachedOp(
        $graph,
        {
            data_indices => \@data_indices,
            param_indices => \@param_indices,
            %{ $self->{_flags} // {} }
        }
    );
    return;
}

sub _call_cached_op
{
    my ($self, @args) = @_;
    $self->_build_cache(@args) if not $self->{_cached_op};
    my ($flat, $format) = $self->_flatten(\@args, 'input');
    _fail('Invalid input format: ' . $self->name . ' was traced for other arguments')
        if not _same_format($format, $self->{_in_format});
    my $from = $self->{_cached_op_args};
    my @waiting = grep { ref and not $_->{_data} and $_->{_deferred_init} } @$from;
    if (@waiting) {
        $self->_infer_step_by_step($@, @args) if not eval { $self->_deferred_infer_shape(@args); 1 };
        $_->_finish_deferred_init for @waiting;
    }
    my $out = $self->{_cached_op}->(map { ref $_ ? $_->data : $flat->[$_] } @$from);
    return @{ $self->_regroup([ref $out eq 'ARRAY' ? @$out : $out], $self->{_out_format}) };
}

# -- what the graph says of the parameters

sub infer_shape
{
    my ($self, @args) = @_;
    return $self->_infer_attrs('infer_shape', 'shape', @args);
}

sub infer_type
{
    my ($self, @args) = @_;
    return $self->_infer_attrs('infer_type', 'dtype', @args);
}

sub _infer_attrs
{
    my ($self, $infer, $attribute, @args) = @_;
    my ($inputs, $graph) = $self->_get_graph(@args);
    my ($flat) = $self->_flatten(\@args, 'input');
    my ($arguments, $outputs, $aux, $why);
    {
        local $SIG{__WARN__} = sub { $why = $_[0] };
        ($arguments, $outputs, $aux) =
            $graph->$infer(map { ($inputs->[$_]->name => $flat->[$_]->$attribute) } 0 .. $#$inputs);
    }
    _fail($why // "$infer of @{[$self->name]}: not enough is known") if not $arguments;
    my %known;
    @known{ @{ $graph->list_arguments } } = @$arguments;
    @known{ @{ $graph->list_auxiliary_states } } = @$aux;
    for my $param ($self->collect_params->values) {
        $param->$attribute($known{ $param->name }) if defined $known{ $param->name };
    }
    return;
}

sub _deferred_infer_shape
{
    my ($self, @args) = @_;
    return if eval { $self->infer_shape(@args); 1 };
    return _fail(
        'Deferred initialization failed because shape cannot be inferred. ' . $@ =~ s/(?: at \S+ line \d+\.)?\s+\z//r);
}

# Where the whole graph does not tell the shapes, each layer asks its own input.
sub _infer_step_by_step
{
    my ($self, $why, @args) = @_;
    my @active;
    $self->apply(sub { push @active, $_[0] if $_[0]{_active} });
    $_->{_active} = 0 for @active;
    my $ok = eval {
        AI::MXNet::AutoGrad->pause(sub { $self->forward(@args) });
        1;
    };
    $_->{_active} = 1 for @active;
    die $why if not $ok;
    return;
}

# -- computing

# Runs hybrid_forward, or the graph.
*forward = \&AI::MXNet::Keshi::block_forward;

# What forward does with arguments of any kind, and where parameters have no values yet, or several copies.
sub _forward_any
{
    my ($self, $x, @args) = @_;
    if (blessed($x)) {
        if ($x->isa('AI::MXNet::NDArray')) {
            my $ctx = $x->context;
            local $AI::MXNet::Context = $ctx;
            return $self->_call_cached_op($x, @args) if $self->{_active};
            my @params = $self->{_reg_params}->as_list;
            for my $i (grep { $_ % 2 } 0 .. $#params) {
                my $param = $params[$i];
                if (not $param->{_data} and $param->{_deferred_init}) {
                    $self->_deferred_infer_shape($x, @args);
                    $_->_finish_deferred_init for $self->{_reg_params}->values;
                }
                $params[$i] = $param->data($ctx);
            }
            $self->_remember_own;
            return $self->hybrid_forward('AI::MXNet::NDArray', $x, @args, @params);
        }
        return $self->_trace($x, @args) if $x->isa('AI::MXNet::Symbol');
    }
    return _fail('HybridBlock requires the first argument to forward be either Symbol or NDArray, but got ['
            . (ref $x || ($x // 'undef'))
            . ']');
}

# The names and parameters that hybrid_forward is given, where each is nothing but its array.
sub _remember_own
{
    my $self = shift;
    return if grep { not _is_plain($_) } $self->{_reg_params}->values;
    $self->{_own} = [$self->{_reg_params}->as_list];
    return;
}

sub _is_plain
{
    my $param = shift;
    return $param->can('data') == AI::MXNet::Gluon::Parameter->can('data') && $param->{stype} eq 'default';
}

sub __setattr__
{
    my ($self, @change) = @_;
    delete $self->{_own};
    return $self->SUPER::__setattr__(@change);
}

# Whoever asks for them may change them.
before _reg_params => sub { delete $_[0]{_own} };

sub hybrid_forward
{
    my $self = shift;
    return _fail(ref($self) . '->hybrid_forward: Not Implemented');
}

# -- files

method export(Str $path, Int : $epoch = 0) {
    _fail(
'Please first call $block->hybridize() and then run forward with this block at least once before calling export.'
    ) if not $self->{_cached_graph};
    my $graph = $self->{_cached_graph}[1];
    $graph->save("$path-symbol.json");
    my %aux = map { $_ => 1 } @{ $graph->list_auxiliary_states };
    my %arrays = map { (($aux{ $_->name } ? 'aux:' : 'arg:') . $_->name => $_->_reduce) } $self->collect_params->values;
    AI::MXNet::NDArray->save(sprintf('%s-%04d.params', $path, $epoch), \%arrays);
    return;
}

__PACKAGE__->register('AI::MXNet::Gluon');
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::Gluon::HybridBlock - a block that can be traced into a graph

=head1 SYNOPSIS

    package Scaled;
    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    use AI::MXNet::Gluon::Mouse;
    use AI::MXNet::Function::Parameters;
    extends 'AI::MXNet::Gluon::HybridBlock';
    sub BUILD
    {
        my $self = shift;
        $self->scale($self->params->get('scale', shape => [3], init => mx->init->Constant(2)));
    }
    method hybrid_forward($F, $x, :$scale) { return $F->broadcast_mul($x, $scale) }

    package main;
    my $block = Scaled->new;
    $block->initialize;
    print $block->(nd->array([[1, 2, 3]]))->aspdl;

=head1 DESCRIPTION

An L<AI::MXNet::Gluon::Block> whose children are hybrid too, and which defines C<hybrid_forward($F, $x, @args, %params)>.
C<$F> is the class C<AI::MXNet::NDArray> or C<AI::MXNet::Symbol>; its own parameters come last, each with the name of its
attribute. Through symbols it finds sizes that were not given when it is first called.

=over 4

=item hybridize($active = 1, %flags)

The next call traces the block, and calls run the graph. Flags go to the graph: C<static_alloc>, C<static_shape>,
C<inline_limit>.

=item infer_shape(@args), infer_type(@args)

Sets shapes, or dtypes, of the parameters by arguments like these.

=item export($path, epoch => 0)

Writes the graph to C<$path-symbol.json> and the parameters to C<$path-0000.params>, after a call of the hybridized block.

=back

=cut
