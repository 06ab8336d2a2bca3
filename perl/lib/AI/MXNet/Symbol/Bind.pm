package AI::MXNet::Symbol::Bind;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Context;
use AI::MXNet::Base qw(STORAGE_TYPE_ID_TO_STR);
use AI::MXNet::Executor;
use AI::MXNet::Executor::Sparse;
use AI::MXNet::NDArray;
use Data::Dumper ();
use JSON::PP ();
use Scalar::Util qw(blessed);

# How a symbol gets arrays: those of the caller, or new ones.

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub _named
{
    my ($who, $known, @given) = @_;
    _fail("$who: got an odd number of named arguments") if @given % 2;
    my %given = @given;
    for my $name (sort keys %given) {
        _fail("$who: no such named argument '$name', want one of @$known") if not grep { $_ eq $name } @$known;
    }
    return \%given;
}

# One request for each argument, from one for all, a list, or a hash; what a hash leaves out has none.
sub _requests
{
    my ($names, $given) = @_;
    my @requests =
          ref $given eq 'HASH' ? map { $given->{$_} // 'null' } @$names
        : ref $given eq 'ARRAY' ? @$given
        : ($given) x @$names;
    _fail('grad_req must have one request for each argument, got ' . @requests . ', want ' . @$names)
        if @requests != @$names;
    for my $request (@requests) {
        _fail('grad_req must be one of "null,write,add", got ' . ($request // 'undef'))
            if ($request // '') !~ /^(?:null|write|add)$/;
    }
    return \@requests;
}

# A list of arrays in the order of names, from a list or a hash.
sub _arrays
{
    my ($what, $names, $given, $may_miss) = @_;
    my $is_array = sub { blessed($_[0]) && $_[0]->isa('AI::MXNet::NDArray') };
    my @arrays;
    if (ref $given eq 'HASH') {
        for my $name (@$names) {
            _fail("key $name is missing in $what") if not defined $given->{$name} and not $may_miss;
            push @arrays, $given->{$name};
        }
    } elsif (ref $given eq 'ARRAY') {
        _fail("Length of $what do not match number of arguments, got " . @$given . ', want ' . @$names)
            if @$given != @$names;
        @arrays = @$given;
    } else {
        _fail("Only accept list of NDArrays or hash of names to NDArrays for $what, got " . ($given // 'undef'));
    }
    for my $i (0 .. $#arrays) {
        next if $is_array->($arrays[$i]) or $may_miss and not defined $arrays[$i];
        _fail("$what: $names->[$i] got " . ($arrays[$i] // 'undef') . ', want an AI::MXNet::NDArray');
    }
    return \@arrays;
}

sub bind    ## no critic (ProhibitBuiltinHomonyms)
{
    my ($self, @given) = @_;
    my $arg = _named('bind', [qw(ctx args args_grad grad_req aux_states group2ctx shared_exec)], @given);
    my $names = $self->list_arguments;
    my $args = _arrays('args', $names, $arg->{args} // []);
    my $requests = _requests($names, $arg->{grad_req} // 'write');
    my $grads = defined $arg->{args_grad} ? _arrays('args_grad', $names, $arg->{args_grad}, 1) : undef;
    my $aux = _arrays('aux_states', $self->list_auxiliary_states, $arg->{aux_states} // []);
    return _executor(
        symbol => $self,
        ctx => $arg->{ctx} // AI::MXNet::Context->current_ctx,
        group2ctx => $arg->{group2ctx} // {},
        args => $args,
        grads => $grads,
        requests => $requests,
        aux => $aux,
    );
}

sub _executor
{
    my %field = @_;
    my @arrays = map { @{ $field{$_} // [] } } qw(args grads aux);
    return AI::MXNet::Executor->new(%field) if not AI::MXNet::Executor::Sparse::is_wanted($field{symbol}, @arrays);
    return AI::MXNet::Executor::Sparse->new(%field);
}

# An array of that shape, on the start of a pooled one where that is large enough. Sparse ones are not pooled: how large they are
# is told by what they hold.
sub _pooled
{
    my ($pool, $name, $shape, $dtype, $ctx, $stype) = @_;
    my $make = sub { AI::MXNet::NDArray->zeros($shape, dtype => $dtype, ctx => $ctx, stype => $stype) };
    return $make->() if not $pool or $stype ne 'default';
    my $size = 1;
    $size *= $_ for @$shape;
    my $pooled = $pool->{$name};
    return $pool->{$name} = $make->() if not defined $pooled or $pooled->dtype ne $dtype or $pooled->size < $size;
    return AI::MXNet::Executor::window($pooled, $shape);
}

# Shapes and dtypes of arguments and states; what nothing tells of is float32.
sub _everything
{
    my ($self, $shapes, $types) = @_;
    my %known = map { $_ => 1 } @{ $self->list_inputs };
    my $of = sub {
        my $hash = shift;
        map { $_ => $hash->{$_} } grep { $known{$_} } sort keys %$hash;
    };
    my ($args, $outs, $aux) = $self->infer_shape($of->($shapes));
    _fail('cannot decide the shapes of all arguments') if not $args;
    my @given = $of->($types);
    my ($arg_types) = $self->_infer_type(@given);
    my $names = $self->list_arguments;
    my @open = map { $names->[$_] => 'float32' } grep { not defined $arg_types->[$_] } 0 .. $#$names;
    ($arg_types, my $out_types, my $aux_types) = $self->_infer_type(@given, @open);
    return ($args, $arg_types, $aux, [map { $_ // 'float32' } @$aux_types]);
}

sub simple_bind
{
    my ($self, @given) = @_;
    my $arg = _named('simple_bind',
        [qw(ctx grad_req shapes type_dict stype_dict group2ctx shared_arg_names shared_exec shared_buffer)], @given,);
    my ($shapes, $request) = ($arg->{shapes} // {}, $arg->{grad_req} // 'write');
    _fail('grad_req in simple_bind cannot be an empty list') if ref $request eq 'ARRAY' and not @$request;
    _fail('grad_req in simple_bind cannot be an empty hash') if ref $request eq 'HASH' and not %$request;
    my ($arg_shapes, $arg_types, $aux_shapes, $aux_types);
    eval {
        ($arg_shapes, $arg_types, $aux_shapes, $aux_types) = _everything($self, $shapes, $arg->{type_dict} // {});
        1;
    } or do {
        my $error = $@ =~ s/ at \S+ line \d+\.\n\z//r;
        my %known = map { ($_ => 1) } @{ $self->list_inputs };
        my @unknown = grep { !$known{$_} } sort keys %$shapes;
        $error .= ", there is no argument @unknown" if @unknown;
        my $dump = Data::Dumper->new([$shapes])->Terse(1)->Sortkeys(1)->Dump;
        _fail("simple_bind failed: Error: $error; Arguments: $dump");
    };
    my ($names, $aux_names) = ($self->list_arguments, $self->list_auxiliary_states);
    my $requests = _requests($names, $request);
    my $ctx = $arg->{ctx} // AI::MXNet::Context->current_ctx;
    my $place = $self->_places($ctx, $arg->{group2ctx} // {});
    my ($shared, $pool) = @{$arg}{qw(shared_exec shared_buffer)};
    my %is_shared = map { $_ => 1 } @{ $arg->{shared_arg_names} // [] };
    my ($stypes, $grad_stypes) = _storage($self, $arg->{stype_dict} // {});
    my (@args, @grads);

    for my $i (0 .. $#$names) {
        my ($name, $shape, $type) = ($names->[$i], $arg_shapes->[$i], $arg_types->[$i]);
        if ($is_shared{$name} and $shared) {
            my $array = $shared->arg_dict->{$name};
            _fail("simple_bind: shared argument $name is not in the shared executor") if not defined $array;
            _fail("simple_bind: shared argument $name has shape [@{ $array->shape }], want [@$shape]")
                if "@{ $array->shape }" ne "@$shape";
            push @args, $array;
            push @grads, $requests->[$i] eq 'null'
                ? undef
                : $shared->grad_dict->{$name}
                // AI::MXNet::NDArray->zeros($shape, dtype => $type, ctx => $place->($name), stype => $array->stype);
            next;
        }
        # What is meant to be shared later stays out of the pool.
        my $own_pool = $is_shared{$name} ? undef : $pool;
        my @of = ($shape, $type, $place->($name));
        push @args, _pooled($own_pool, $name, @of, $stypes->{$name} // 'default');
        push @grads, $requests->[$i] eq 'null'
            ? undef
            : _pooled($own_pool, "grad of $name", @of, $grad_stypes->{$name} // 'default');
    }
    # What is not told by the caller is the network's.
    my %is_parameter = map { $_ => 1 } @{ $arg->{shared_arg_names} // [grep { !$shapes->{$_} } @$names] };
    my %shared_aux = $shared ? %{ $shared->aux_dict } : ();
    my @aux = map {
        my ($shape, $theirs) = ($aux_shapes->[$_], $shared_aux{ $aux_names->[$_] });
        defined $theirs && "@{ $theirs->shape }" eq "@$shape" && $theirs->dtype eq $aux_types->[$_]
            ? $theirs
            : AI::MXNet::NDArray->zeros($shape, dtype => $aux_types->[$_], ctx => $place->($aux_names->[$_]))
    } 0 .. $#$aux_names;
    return _executor(
        symbol => $self,
        ctx => $ctx,
        group2ctx => $arg->{group2ctx} // {},
        args => \@args,
        grads => \@grads,
        requests => $requests,
        aux => \@aux,
        parameters => [grep { $is_parameter{ $names->[$_] } } 0 .. $#$names],
    );
}

# How arguments and gradients are stored that are not dense: as the variable or the caller says. A row_sparse argument has such a
# gradient, and so has the weight of an embedding that is told so.
sub _storage
{
    my ($self, $given) = @_;
    my $attr = $self->attr_dict;
    my %stype = map { $_ => STORAGE_TYPE_ID_TO_STR->{ $attr->{$_}{__storage_type__} } }
        grep { defined $attr->{$_}{__storage_type__} } keys %$attr;
    %stype = (%stype, %$given);
    my %grad = map { $_ => 'row_sparse' } grep { $stype{$_} eq 'row_sparse' } keys %stype;
    if (grep { ($_->{sparse_grad} // '') =~ /^(?:1|true)$/i } values %$attr
        or $self->tojson =~ /"op": "_contrib_SparseEmbedding"/)
    {
        my $graph = JSON::PP->new->decode($self->tojson);
        for my $node (grep { $_->{op} =~ /Embedding$/ } @{ $graph->{nodes} }) {
            next if $node->{op} eq 'Embedding' and ($node->{attrs}{sparse_grad} // '') !~ /^(?:1|true)$/i;
            my $weight = $graph->{nodes}[$node->{inputs}[1][0]];
            $grad{ $weight->{name} } = 'row_sparse' if $weight->{op} eq 'null';
        }
    }
    return (\%stype, \%grad);
}

# Where a variable lives: with its group, or else in the given context.
sub _places
{
    my ($self, $ctx, $group2ctx) = @_;
    my $attr = %$group2ctx ? $self->attr_dict : {};
    return sub {
        my $group = ($attr->{ $_[0] } // {})->{__ctx_group__};
        return (defined $group ? $group2ctx->{$group} : undef) // $ctx;
    };
}

sub eval    ## no critic (ProhibitBuiltinHomonyms)
{
    my ($self, @given) = @_;
    my $arg = _named('eval', [qw(ctx args)], @given);
    return $self->bind(ctx => $arg->{ctx}, args => $arg->{args} // {}, grad_req => 'null')->forward;
}

1;
