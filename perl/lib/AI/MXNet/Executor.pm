package AI::MXNet::Executor;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NDArray;
use Scalar::Util qw(blessed);

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub _is_array { return blessed($_[0]) && $_[0]->isa('AI::MXNet::NDArray') }

# Arrays come in the order of the symbol's lists; see AI::MXNet::Symbol::Bind. parameters: places of arguments that seldom change.
sub new
{
    my ($class, %field) = @_;
    my $self = bless {%field}, ref $class || $class;
    my @grads = @{ $self->{grads} // [] };
    my @requests = map { defined $grads[$_] ? $self->{requests}[$_] : 'null' } 0 .. $#{ $self->{args} };
    $self->{handle} =
        AI::MXNet::Keshi::executor_bind($self->{symbol}, $self->{ctx}, $self->{args}, \@grads, \@requests, $self->{aux},
        $self->{outputs_given} // [],
        $self->{group2ctx});
    AI::MXNet::Keshi::executor_set_parameters($self->{handle}, $self->{parameters} //= []);
    # An output whose shape depends on values is another array after each pass.
    $self->{varies} = !eval { $self->outputs; 1 };
    return $self;
}

# An array on the first elements of another.
sub window
{
    my ($array, $shape) = @_;
    return $array if "@{ $array->shape }" eq "@$shape";
    my $size = 1;
    $size *= $_ for @$shape;
    my $line = $array->ndim == 1 ? $array : $array->reshape([-1]);
    $line = $line->slice([0, $size - 1]) if $size != $line->size;
    return $line->reshape($shape);
}

sub handle { return $_[0]{handle} }
sub symbol { return $_[0]{symbol} }
*_symbol = \&symbol;
sub arg_arrays { return $_[0]{args} }
sub grad_arrays { return $_[0]{grads} }
sub aux_arrays { return $_[0]{aux} }

# The same objects before and after every pass, where their shapes are known before.
sub outputs
{
    my $self = shift;
    return $self->{outputs} //=
        [AI::MXNet::Keshi::executor_outputs($self->{handle}, scalar @{ $self->{symbol}->list_outputs })];
}

sub _dict
{
    my ($names, $arrays) = @_;
    my %dict;
    for my $i (0 .. $#$names) {
        _fail('Duplicate names detected, [' . join(', ', @$names) . ']') if exists $dict{ $names->[$i] };
        $dict{ $names->[$i] } = ($arrays // [])->[$i];
    }
    return \%dict;
}

sub arg_dict { my $self = shift; return $self->{arg_dict} //= _dict($self->{symbol}->list_arguments, $self->{args}) }
sub grad_dict { my $self = shift; return $self->{grad_dict} //= _dict($self->{symbol}->list_arguments, $self->{grads}) }

sub aux_dict
{
    my $self = shift;
    return $self->{aux_dict} //= _dict($self->{symbol}->list_auxiliary_states, $self->{aux});
}
sub output_dict { my $self = shift; return _dict($self->{symbol}->list_outputs, $self->outputs) }

# forward($is_train = 0, name => $value, ...)
sub forward
{
    my ($self, @args) = @_;
    my $is_train = @args % 2 ? shift @args : 0;
    $self->_assign(@args);
    AI::MXNet::Keshi::executor_forward($self->{handle}, $is_train ? 1 : 0);
    delete $self->{outputs} if $self->{varies};
    return $self->outputs;
}

# Copies values into arguments by name.
sub _assign
{
    my ($self, @args) = @_;
    while (my ($name, $value) = splice @args, 0, 2) {
        my $array = $self->arg_dict->{$name};
        _fail("unknown argument $name, want one of " . join ', ', @{ $self->{symbol}->list_arguments })
            if not defined $array;
        if (not _is_array($value)) {
            _fail("only accept keyword argument of NDArrays, PDLs and lists, $name got " . ($value // 'undef'))
                if not ref $value;
            $value = AI::MXNet::NDArray->array($value, dtype => $array->dtype);
        }
        my ($need, $got) = map { join ' ', @{ $_->shape } } $array, $value;
        _fail("Shape not match! Argument $name, need: $need, received: $got") if $need ne $got;
        $array .= $value;
    }
    return;
}

# backward($out_grads, $is_train = 1)
sub backward
{
    my ($self, $out_grads, $is_train) = @_;
    $out_grads = $self->_head_grads($out_grads);
    AI::MXNet::Keshi::executor_backward($self->{handle}, $out_grads, $is_train // 1 ? 1 : 0);
    return;
}

# A list of gradients, or undef.
sub _head_grads
{
    my ($self, $out_grads) = @_;
    if (ref $out_grads eq 'HASH') {
        $out_grads = [map { $out_grads->{$_} } @{ $self->{symbol}->list_outputs }];
    }
    $out_grads = [$out_grads] if _is_array($out_grads);
    _fail('backward: out_grads got ' . $out_grads . ', want an AI::MXNet::NDArray or a list of them')
        if defined $out_grads and ref $out_grads ne 'ARRAY';
    return $out_grads && @$out_grads ? $out_grads : undef;
}

# The sub gets the name and the value of everything that is computed.
sub set_monitor_callback
{
    my ($self, $callback) = @_;
    AI::MXNet::Keshi::executor_set_monitor($self->{handle}, $callback);
    return;
}

sub copy_params_from
{
    my ($self, $arg_params, $aux_params, $allow_extra) = @_;
    for my $pair ([$arg_params, $self->arg_dict], [$aux_params // {}, $self->aux_dict]) {
        my ($params, $own) = @$pair;
        for my $name (sort keys %$params) {
            my $array = $own->{$name};
            if (defined $array) {
                my $value = $params->{$name};
                my ($want, $got) = map { join ',', @{ $_->shape } } $array, $value;
                _fail("$name: Shape inconsistant: expected $want vs got $got") if $want ne $got;
                $value->astype($array->dtype)->copyto($array);
            } elsif (not $allow_extra) {
                _fail(qq(Found name "$name" that is not in the arguments));
            }
        }
    }
    return;
}

# An executor for other shapes of some arguments, on the same memory where it is enough.
sub reshape
{
    my ($self, $shapes, @given) = @_;
    my $arg = AI::MXNet::Symbol::Bind::_named('reshape', [qw(partial_shaping allow_up_sizing)], @given);
    my $symbol = $self->{symbol};
    my ($arg_shapes, $out_shapes, $aux_shapes) = $symbol->infer_shape(%$shapes);
    _fail('Insufficient argument shapes provided.') if not $arg_shapes;
    my $resized = sub {
        my ($name, $array, $shape) = @_;
        return $array if not defined $array or "@{ $array->shape }" eq "@$shape";
        _fail(
"Shape of unspecified array arg:$name changed. This can cause the new executor to not share parameters with "
                . 'the old one. Please check for error in the network. If this is intended, set partial_shaping => 1')
            if not $arg->{partial_shaping}
            and not $shapes->{$name};
        return AI::MXNet::NDArray->zeros($shape, stype => $array->stype, ctx => $array->context, dtype => $array->dtype)
            if $array->stype ne 'default';
        my $size = 1;
        $size *= $_ for @$shape;
        return window($array, $shape) if $size <= $array->size;
        _fail(
            "New shape of arg:$name larger than original. First making a big executor and then down sizing it is more "
                . 'efficient than the reverse. If you really want to up size, set allow_up_sizing => 1')
            if not $arg->{allow_up_sizing};
        return AI::MXNet::NDArray->zeros($shape, ctx => $array->context, dtype => $array->dtype);
    };
    my ($names, $aux_names) = ($symbol->list_arguments, $symbol->list_auxiliary_states);
    my @args = map { $resized->($names->[$_], $self->{args}[$_], $arg_shapes->[$_]) } 0 .. $#$names;
    my @grads = map { $resized->($names->[$_], $self->{grads}[$_], $arg_shapes->[$_]) } 0 .. $#$names;
    my @aux = map { $resized->($aux_names->[$_], $self->{aux}[$_], $aux_shapes->[$_]) } 0 .. $#$aux_names;
    my @outputs = map {
        my ($array, $shape, $size) = ($self->outputs->[$_], $out_shapes->[$_], 1);
        $size *= $_ for @$shape;
        $array->stype eq 'default' && $size <= $array->size ? window($array, $shape) : undef
    } 0 .. $#$out_shapes;
    return ref($self)->new(
        (map { $_ => $self->{$_} } qw(symbol ctx group2ctx requests parameters)),
        args => \@args,
        grads => $self->{grads} && \@grads,
        aux => \@aux,
        outputs_given => \@outputs,
    );
}

sub debug_str
{
    my $self = shift;
    return (AI::MXNet::Keshi::executor_describe($self->{handle}))[0];
}

1;

__END__

=head1 NAME

AI::MXNet::Executor - a graph bound to arrays

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my ($x, $w) = map { mx->sym->Variable($_) } qw(x w);
    my $exec = ($x * $w)->bind(
        ctx => mx->cpu,
        args => { x => mx->nd->array([1, 2, 3]), w => mx->nd->array([4, 5, 6]) },
        args_grad => { w => mx->nd->zeros([3]) },
    );
    print $exec->forward(1)->[0]->aspdl, "\n";                         # [4 10 18]
    $exec->backward(mx->nd->ones([3]));
    print $exec->grad_dict->{w}->aspdl, "\n";                          # [1 2 3]
    print $exec->forward(0, x => [0, 0, 1])->[0]->aspdl, "\n";         # [0 0 6]

=head1 DESCRIPTION

C<bind> and C<simple_bind> of a symbol make executors: the first on arrays of the caller, the second on new ones.

=over 4

=item $symbol->bind(ctx =>, args =>, args_grad =>, grad_req => 'write', aux_states =>, group2ctx =>)

Lists in the order of the symbol's, or hashes by name. An argument without an array in C<args_grad> has no gradient.

=item $symbol->simple_bind(ctx =>, shapes => {}, grad_req => 'write', type_dict => {}, group2ctx =>, shared_exec =>, shared_arg_names =>, shared_buffer =>)

Infers all shapes and makes the arrays, zeros. Arguments in C<shared_arg_names> are those of C<shared_exec>, gradients too.
C<shared_buffer> is a hash that keeps the others by name, for the next bind.

=item forward($is_train = 0, name => $value, ...)

Copies the values into the arguments, runs, and returns the outputs: the same arrays every time.

=item backward($out_grads, $is_train = 1)

Gradients of the arguments from those of the outputs (one, or a list), which are ones when none are given. C<grad_req> says
what becomes of them: C<write>, C<add>, or C<null>; for each argument its own in a list or a hash.

=item arg_arrays, grad_arrays, aux_arrays, outputs, arg_dict, grad_dict, aux_dict, output_dict

=item reshape(\%shapes, partial_shaping => 0, allow_up_sizing => 0)

An executor for other shapes that shares all memory that is enough.

=item copy_params_from(\%args, \%states, $allow_extra)

=item set_monitor_callback($sub)

The sub is called with the name and the value of each output of each operator and, going back, of the gradient of each of its
inputs, called C<name_backward_input>.

=item debug_str

The calls that are made, and the memory, in MB, of the results that stay when C<forward> is over: outputs, and what C<backward>
needs.

=back

Nodes whose attribute C<ctx_group> is a key of C<group2ctx> live in that context, with their variables.

=cut
